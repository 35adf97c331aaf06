"""Reading from the API: what is asked, what is tried again, what a failure is called."""

from __future__ import annotations

import asyncio
import traceback

import httpx2
import pytest

from app.tds.core.errors import SourceAuthError, SourceError, SourceThrottledError, SourceUnavailableError
from app.tds.sources.zoho.client import Api, ZohoClient
from app.tds.sources.zoho.failures import ZohoNotFoundError
from app.tds.sources.zoho.schemas import ContactAnswer, ItemsAnswer
from tests.unit.sources.zoho.peer import ANSWERED, SECRETS, Peer, StillClock, answer, settings, token

EMPTY = answer({**ANSWERED, "items": []})


def make(peer: Peer, clock: StillClock, **changes: object) -> ZohoClient:
    """A client of a scripted peer."""
    return ZohoClient(settings(**changes), clock=clock, http=peer.client())


async def read(client: ZohoClient, **query: str | int) -> ItemsAnswer:
    """One list call."""
    return await client.get(Api.INVENTORY, "/items", ItemsAnswer, query)


class TestGet:
    """One call."""

    async def test_sends_organisation_and_token(self, peer: Peer, clock: StillClock) -> None:
        """Every call names the organisation, and carries its token in the header only."""
        peer.api = [EMPTY]
        await read(make(peer, clock), page=1)
        (request,) = peer.api_requests
        assert request.url.host == "www.zohoapis.eu"
        assert request.url.path == "/inventory/v1/items"
        assert request.headers["authorization"] == "Zoho-oauthtoken 1000.access"
        assert peer.queries == [{"organization_id": "748812345", "page": "1"}]

    async def test_escapes_the_plus_of_an_offset(self, peer: Peer, clock: StillClock) -> None:
        """A bare ``+`` would arrive as a space."""
        peer.api = [EMPTY]
        await read(make(peer, clock), last_modified_time="2025-11-13T08:30:00+0300")
        assert b"last_modified_time=2025-11-13T08%3A30%3A00%2B0300" in peer.api_requests[0].url.raw_path

    async def test_keeps_the_bytes_of_rows(self, peer: Peer, clock: StillClock) -> None:
        """Rows are slices of the answer, odd spaces and digits included."""
        peer.api = [answer(b'{"code":0,"items":[{"rate" : 360.00, "x":"\xd9\x85"},{}]}')]
        found = await read(make(peer, clock))
        assert [bytes(row) for row in found.items] == [b'{"rate" : 360.00, "x":"\xd9\x85"}', b"{}"]

    @pytest.mark.parametrize(
        "trouble",
        [
            answer({"code": 1000, "message": "Internal error"}, 500),
            answer({"code": 1000, "message": "Internal error"}, 200),
            answer(b"<html>Service Temporarily Unavailable</html>", 503),
            answer(b"<html>Sign in</html>", 200),
            answer(b"<html>Not found</html>", 404),
            answer(b'{"code":0,"items":[{"item_id"', 200),
            answer(b'{"code":0,"message":"success"}', 200),
            answer(b'{"code":0,"items":' + b"[" * 100_000, 200),
            answer(b"", 302, {"location": "https://accounts.example.org"}),
            httpx2.ConnectError("refused"),
            httpx2.ReadTimeout("slow"),
            httpx2.RemoteProtocolError("cut"),
        ],
    )
    async def test_tries_three_times_what_may_pass(
        self, peer: Peer, clock: StillClock, trouble: httpx2.Response | Exception
    ) -> None:
        """Two failures are forgotten; three are told."""
        peer.api = [trouble, trouble, EMPTY]
        assert (await read(make(peer, clock))).items == []
        peer.api = [trouble]
        with pytest.raises(SourceUnavailableError):
            await read(make(peer, clock))
        assert len(peer.api_requests) == 6

    @pytest.mark.parametrize(
        ("code", "headers", "bounds"),
        [
            (43, {"Retry-After": "3600"}, (3600, 3600)),
            (43, {}, (3600, 3600)),
            (44, {}, (60, 60)),
            (44, {"Retry-After": "Sun, 01 Mar 2026 12:02:00 GMT"}, (120, 120)),
            (44, {"Retry-After": "soon"}, (60, 60)),
            (45, {"X-Rate-Limit-Reset": "20421"}, (20421, 20421)),
            (45, {}, (3600, 3600)),
            (1070, {}, (1, 10)),
        ],
    )
    async def test_hands_on_how_long_to_wait(
        self, peer: Peer, clock: StillClock, code: int, headers: dict[str, str], bounds: tuple[float, float]
    ) -> None:
        """A limit is never tried against again; the wait is Zoho's, or the usual one of its code."""
        peer.api = [answer({"code": code, "message": "blocked"}, 429, headers)]
        with pytest.raises(SourceThrottledError) as caught:
            await read(make(peer, clock))
        assert bounds[0] <= caught.value.retry_after <= bounds[1]
        assert len(peer.api_requests) == 1

    @pytest.mark.parametrize("refusal", [answer({"code": 57}, 401), answer({"code": 14}, 401), answer(b"no", 401)])
    async def test_renews_a_refused_token_once(self, peer: Peer, clock: StillClock, refusal: httpx2.Response) -> None:
        """A stale token is replaced and the call repeated; a second refusal is for a person."""
        peer.tokens = [token("stale"), token("fresh")]
        peer.api = [refusal, EMPTY, refusal]
        client = make(peer, clock)
        assert (await read(client)).items == []
        assert peer.api_requests[1].headers["authorization"] == "Zoho-oauthtoken fresh"
        with pytest.raises(SourceAuthError):
            await read(client)
        assert len(peer.token_requests) == 2

    async def test_keeps_the_token_where_something_else_is_refused(self, peer: Peer, clock: StillClock) -> None:
        """Code 57 with status 400 is about the permission, not about the token."""
        peer.api = [answer({"code": 57, "message": "You are not authorized"}, 400)]
        with pytest.raises(SourceAuthError):
            await read(make(peer, clock))
        assert len(peer.token_requests) == 1

    async def test_names_the_organisation_setting(self, peer: Peer, clock: StillClock) -> None:
        """Code 6041: the user is of another organisation."""
        peer.api = [answer({"code": 6041, "message": "This user is not associated"}, 400)]
        with pytest.raises(SourceAuthError, match="TDS_ZOHO_ORGANIZATION_ID"):
            await read(make(peer, clock))

    @pytest.mark.parametrize(("code", "status"), [(1002, 404), (1002, 400), (1002, 200), (5, 404)])
    async def test_tells_what_is_gone(self, peer: Peer, clock: StillClock, code: int, status: int) -> None:
        """A record that does not exist is its own error, whatever the status."""
        peer.api = [answer({"code": code, "message": "Contact does not exist."}, status)]
        with pytest.raises(ZohoNotFoundError):
            await make(peer, clock).get(Api.BOOKS, "/contacts/1", ContactAnswer)

    async def test_believes_the_code_more_than_the_status(self, peer: Peer, clock: StillClock) -> None:
        """An error in an answer with status 200 is one, and is not tried again."""
        peer.api = [answer({"code": 4, "message": "Invalid value passed for page"}, 200)]
        with pytest.raises(SourceError) as caught:
            await read(make(peer, clock))
        assert caught.value.detail == {"status": 200, "code": 4, "message": "Invalid value passed for page"}
        assert len(peer.api_requests) == 1

    async def test_says_what_is_not_set(self, peer: Peer, clock: StillClock) -> None:
        """Without credentials nothing is asked."""
        with pytest.raises(SourceAuthError, match="TDS_ZOHO_REFRESH_TOKEN"):
            await read(make(peer, clock, refresh_token=None))
        assert not peer.token_requests

    async def test_shows_no_secret(self, peer: Peer, clock: StillClock) -> None:
        """No error text, with all its causes, holds a token or a secret."""
        peer.api = [httpx2.ReadError("cut")]
        with pytest.raises(SourceUnavailableError) as caught:
            await read(make(peer, clock))
        shown = "".join(traceback.format_exception(caught.value))
        assert not any(secret in shown for secret in (*SECRETS, "1000.access"))

    async def test_asks_few_at_a_time(self, clock: StillClock) -> None:
        """No more calls are under way than the setting allows."""
        running = 0
        release = asyncio.Event()

        async def handle(request: httpx2.Request) -> httpx2.Response:
            nonlocal running
            if request.url.path == "/oauth/v2/token":
                return token()
            running += 1
            await release.wait()
            return answer({**ANSWERED, "items": []})

        http = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
        client = ZohoClient(settings(concurrency=3), clock=clock, http=http)
        calls = asyncio.gather(*(read(client) for _ in range(12)))
        for _ in range(1000):  # turns of the loop: far more than any call needs to begin
            await asyncio.sleep(0)
        assert running == 3
        release.set()
        await calls
        assert running == 12
