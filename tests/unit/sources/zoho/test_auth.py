"""Access tokens."""

from __future__ import annotations

import asyncio
import traceback
from urllib.parse import parse_qs

import httpx2
import pytest

from app.tds.core.errors import SourceAuthError, SourceThrottledError, SourceUnavailableError
from app.tds.sources.zoho.auth import MemoryTokenStore, Token, ZohoAuth
from app.tds.sources.zoho.transport import Transport
from tests.unit.sources.zoho.peer import SECRETS, Peer, StillClock, answer, settings, token

THROTTLED = {"error": "Access Denied", "error_description": "You have made too many requests", "status": "failure"}
LOCALISED = {"error": "拒绝访问", "error_description": "您已连续提出过多请求，请稍后再试。", "status": "failure"}


def make(peer: Peer, clock: StillClock, **changes: object) -> ZohoAuth:
    """Authentication against a scripted peer."""
    return ZohoAuth(settings(**changes), Transport(peer.client()), clock=clock, store=MemoryTokenStore())


class TestToken:
    """Getting a token."""

    async def test_asks_with_a_form_and_no_query(self, peer: Peer, clock: StillClock) -> None:
        """Secrets travel in the body, never in an address that somebody logs."""
        assert (await make(peer, clock).token()).value == "1000.access"
        (request,) = peer.token_requests
        assert str(request.url) == "https://accounts.zoho.eu/oauth/v2/token"
        assert parse_qs(request.content.decode()) == {
            "grant_type": ["refresh_token"],
            "client_id": ["1000.CLIENT"],
            "client_secret": [SECRETS[0]],
            "refresh_token": [SECRETS[1]],
        }

    async def test_refreshes_once_for_many_callers(self, peer: Peer, clock: StillClock) -> None:
        """Fifty callers at once make one request, and all get its token."""
        auth = make(peer, clock)
        tokens = await asyncio.gather(*(auth.token() for _ in range(50)))
        assert {t.value for t in tokens} == {"1000.access"}
        assert len(peer.token_requests) == 1

    async def test_keeps_a_token_until_shortly_before_its_end(self, peer: Peer, clock: StillClock) -> None:
        """A token of an hour is used for 55 minutes."""
        peer.tokens = [token("first"), token("second")]
        auth = make(peer, clock)
        await auth.token()
        clock.move(minutes=54)
        assert (await auth.token()).value == "first"
        clock.move(minutes=2)
        assert (await auth.token()).value == "second"

    async def test_reads_the_older_name_of_the_lifetime(self, peer: Peer, clock: StillClock) -> None:
        """``expires_in_sec`` is understood as well."""
        peer.tokens = [answer({"access_token": "a", "expires_in_sec": 1800})]
        assert ((await make(peer, clock).token()).expires_at - clock.now).total_seconds() == 1800

    @pytest.mark.parametrize(
        ("error", "setting"),
        [
            ("invalid_code", "TDS_ZOHO_REFRESH_TOKEN"),
            ("invalid_client", "TDS_ZOHO_CLIENT_ID"),
            ("invalid_client_secret", "TDS_ZOHO_CLIENT_SECRET"),
        ],
    )
    async def test_names_the_wrong_setting(self, peer: Peer, clock: StillClock, error: str, setting: str) -> None:
        """An error with status 200 is one, and says where to look."""
        peer.tokens = [answer({"error": error})]
        with pytest.raises(SourceAuthError, match=setting):
            await make(peer, clock).token()

    @pytest.mark.parametrize(("body", "status"), [(THROTTLED, 400), (THROTTLED, 200), (LOCALISED, 400), (b"busy", 429)])
    async def test_is_patient_when_throttled(self, peer: Peer, clock: StillClock, body: object, status: int) -> None:
        """Ten minutes without another request, whatever the status and the language."""
        peer.tokens = [answer(body, status), token()]
        auth = make(peer, clock)
        with pytest.raises(SourceThrottledError) as first:
            await auth.token()
        clock.move(minutes=4)
        with pytest.raises(SourceThrottledError) as second:
            await auth.token()
        assert (first.value.retry_after, second.value.retry_after) == (600, 360)
        assert len(peer.token_requests) == 1
        clock.move(minutes=7)
        assert (await auth.token()).value == "1000.access"

    @pytest.mark.parametrize("trouble", [answer(THROTTLED, 400), answer(b"<html>", 503), httpx2.ConnectError("no")])
    async def test_uses_the_old_token_while_it_lasts(
        self, peer: Peer, clock: StillClock, trouble: httpx2.Response | Exception
    ) -> None:
        """A token in its last five minutes is better than none."""
        peer.tokens = [token("old"), trouble]
        auth = make(peer, clock)
        await auth.token()
        clock.move(minutes=57)
        assert (await auth.token()).value == "old"
        clock.move(minutes=4)
        with pytest.raises((SourceThrottledError, SourceUnavailableError)):
            await auth.token()

    @pytest.mark.parametrize("body", [b"<html>", b'{"access_tok', b"[]", {"token_type": "Bearer"}])
    async def test_is_unavailable_without_a_token(self, peer: Peer, clock: StillClock, body: object) -> None:
        """An answer that is neither a token nor an error is the endpoint's trouble."""
        peer.tokens = [answer(body)]
        with pytest.raises(SourceUnavailableError):
            await make(peer, clock).token()

    async def test_shows_no_secret(self, peer: Peer, clock: StillClock) -> None:
        """Neither an error with all its causes nor a token's own text holds a secret."""
        peer.tokens = [token("1000.shy"), httpx2.ReadError("cut")]
        auth = make(peer, clock)
        shown = repr(await auth.token())
        clock.move(hours=2)
        with pytest.raises(SourceUnavailableError) as caught:
            await auth.token()
        shown += "".join(traceback.format_exception(caught.value))
        assert not any(secret in shown for secret in (*SECRETS, "1000.shy"))

    @pytest.mark.parametrize(
        ("configured", "told", "used"),
        [
            ("https://www.zohoapis.eu", "https://www.zohoapis.in", "https://www.zohoapis.in"),
            ("https://www.zohoapis.eu", "https://www.zohoapis.eu.example.org", "https://www.zohoapis.eu"),
            ("https://www.zohoapis.eu", "http://www.zohoapis.in", "https://www.zohoapis.eu"),
            ("http://127.0.0.1:8600", "https://www.zohoapis.com", "http://127.0.0.1:8600"),
            ("http://127.0.0.1:8600", "http://127.0.0.1:8600", "http://127.0.0.1:8600"),
        ],
    )
    async def test_follows_only_known_hosts(
        self, peer: Peer, clock: StillClock, configured: str, told: str, used: str
    ) -> None:
        """A token goes to another data centre of Zoho, to nobody else, and never from a stand-in to the real one."""
        peer.tokens = [token(api_domain=told)]
        assert (await make(peer, clock, api_url=configured).token()).api_url == used


class TestRenew:
    """Replacing a token that the API refused."""

    async def test_makes_one_token_for_all_who_were_refused(self, peer: Peer, clock: StillClock) -> None:
        """Five callers refused with one token cause one refresh."""
        peer.tokens = [token("stale"), token("fresh")]
        auth = make(peer, clock)
        stale = await auth.token()
        renewed = await asyncio.gather(*(auth.renew(stale) for _ in range(5)))
        assert {t.value for t in renewed} == {"fresh"}
        assert len(peer.token_requests) == 2

    async def test_gives_up_where_renewing_does_not_help(self, peer: Peer, clock: StillClock) -> None:
        """A new token that is refused at once is not replaced: ten minutes allow ten tokens."""
        peer.tokens = [token("a"), token("b"), token("c")]
        auth = make(peer, clock)
        fresh = await auth.renew(await auth.token())
        with pytest.raises(SourceAuthError, match="scopes"):
            await auth.renew(fresh)
        clock.move(minutes=2)
        assert (await auth.renew(fresh)).value == "c"

    async def test_takes_a_token_that_another_process_saved(self, peer: Peer, clock: StillClock) -> None:
        """What a shared store holds is used before a new one is asked for."""
        store = MemoryTokenStore()
        auth = ZohoAuth(settings(), Transport(peer.client()), clock=clock, store=store)
        refused = await auth.token()
        other = Token(value="other", expires_at=refused.expires_at, api_url=refused.api_url)
        await store.save(other)
        assert await auth.renew(refused) is other
        assert len(peer.token_requests) == 1
