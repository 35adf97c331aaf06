"""Sessions of browsers: a cookie that scripts and other sites cannot use, an end in every process, a throttle."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager

import pytest
from httpx2 import AsyncClient, Response
from pydantic import SecretStr

from app.core.config import ServerSettings
from app.core.database import Database
from app.core.security.principals import Role
from app.core.security.secrets import new_token
from app.core.security.throttle import ADDRESS_LIMIT, PREFIX_LIMIT
from app.core.security.tokens import MadeToken
from tests.integration.access.conftest import STATIC, make_runtime, process
from tests.support.access import bearer, make_token, revoke_token
from tests.support.pipeline import execute, rows, value

pytestmark = pytest.mark.integration

SESSION = "/api/auth/session"
PAUSES = "/api/bff/tds/pauses"
PAUSE = {"source": "zoho", "mode": "pause"}


async def sign_in(client: AsyncClient, token: MadeToken | str) -> Response:
    """Sign in, and keep the cookie as a browser does."""
    return await client.post(SESSION, json={"token": token if isinstance(token, str) else token.secret.text})


def another(
    database: Database, base_url: str = "http://localhost", **more: str
) -> AbstractAsyncContextManager[AsyncClient]:
    """A client of another process."""
    return process(make_runtime(database), base_url, **more)


@pytest.fixture
async def operator(database: Database) -> MadeToken:
    """An operator's token."""
    return await make_token(database, Role.OPERATOR, name="Sara")


class TestCookie:
    """What a browser is given."""

    async def test_is_for_this_host_by_https_and_not_for_scripts(self, database: Database, operator: MadeToken) -> None:
        """And no other site can have it sent."""
        async with another(database, "https://erp.example") as client:
            answer = await sign_in(client, operator)
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-tds_session=")
            assert {"httponly", "secure", "samesite=strict", "path=/"} <= set(cookie.lower().split("; "))
            assert (await client.get(SESSION)).json()["name"] == "Sara"

    @pytest.mark.parametrize("host", ["localhost:8787", "127.0.0.1", "[::1]:1"])
    async def test_needs_no_certificate_on_this_machine(
        self, database: Database, operator: MadeToken, host: str
    ) -> None:
        """A desk has none."""
        async with another(database, f"http://{host}") as client:
            cookie = (await sign_in(client, operator)).headers["set-cookie"].lower()
            assert cookie.startswith("tds_session=")
            assert "secure" not in cookie

    async def test_is_for_https_where_the_host_is_not_this_machine(
        self, database: Database, operator: MadeToken
    ) -> None:
        """Also if its name only looks so."""
        for host in ("erp.example", "localhost.example", "127.0.0.1.example"):
            async with another(database, f"http://{host}") as client:
                assert "Secure" in (await sign_in(client, operator)).headers["set-cookie"]

    async def test_is_stored_as_a_hash(self, client: AsyncClient, database: Database, operator: MadeToken) -> None:
        """Neither it nor the token stands in the table."""
        answer = await sign_in(client, operator)
        secret = answer.cookies["tds_session"]
        told = str(await rows(database, "SELECT * FROM browser_sessions"))
        assert secret not in told
        assert operator.secret.text not in told

    async def test_sent_twice_is_no_session(self, client: AsyncClient, operator: MadeToken) -> None:
        """A neighbour's cookie of the same name may have been put before ours."""
        secret = (await sign_in(client, operator)).cookies["tds_session"]
        client.cookies.clear()
        header = {"Cookie": f"tds_session={new_token().text}; tds_session={secret}"}
        assert (await client.get(SESSION, headers=header)).status_code == 401


class TestCsrf:
    """Whatever changes something needs the session's CSRF token."""

    async def test_only_the_right_one_opens(self, client: AsyncClient, database: Database, operator: MadeToken) -> None:
        """None, a wrong one, another session's, two of them: 403, and nothing is done."""
        other = (await sign_in(client, operator)).json()["csrf_token"]
        client.cookies.clear()
        csrf = (await sign_in(client, operator)).json()["csrf_token"]
        for given in ([], [csrf[:-1]], [other], [""], [csrf, csrf], ["é"]):
            headers = [("X-CSRF-Token", one.encode()) for one in given]
            answer = await client.post(PAUSES, json=PAUSE, headers=headers)  # pyright: ignore[reportArgumentType]
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:tds:problem:csrf"), given
        assert await value(database, "SELECT count(*) FROM tds_pauses") == 0
        assert (await client.post(PAUSES, json=PAUSE, headers={"X-CSRF-Token": csrf})).is_success

    async def test_is_told_again(self, client: AsyncClient, operator: MadeToken) -> None:
        """A page that was loaded anew asks for it."""
        told = (await sign_in(client, operator)).json()
        mine = (await client.get(SESSION)).json()
        assert (mine["csrf_token"], mine["kind"], mine["role"]) == (told["csrf_token"], "session", "operator")

    async def test_a_token_needs_none(self, client: AsyncClient, operator: MadeToken) -> None:
        """No browser sends it by itself."""
        assert (await client.post(PAUSES, json=PAUSE, headers=bearer(operator))).is_success
        assert (await client.get(SESSION, headers=bearer(operator))).json()["csrf_token"] is None

    async def test_no_other_site_can_sign_somebody_in(self, client: AsyncClient, operator: MadeToken) -> None:
        """A form of another site cannot send JSON."""
        body = f'{{"token": "{operator.secret.text}"}}'
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await client.post(SESSION, content=body, headers={"Content-Type": kind})
            assert answer.status_code == 422
            assert "set-cookie" not in answer.headers


class TestEnd:
    """Sessions end."""

    @pytest.fixture
    async def elsewhere(self, database: Database) -> AsyncGenerator[AsyncClient]:
        """A browser that talks to another process."""
        async with another(database) as client:
            yield client

    async def test_by_signing_out_in_every_process(
        self, client: AsyncClient, elsewhere: AsyncClient, database: Database, operator: MadeToken
    ) -> None:
        """The other one has remembered it. Both are recorded."""
        csrf = (await sign_in(client, operator)).json()["csrf_token"]
        elsewhere.cookies = client.cookies
        assert (await elsewhere.get(SESSION)).status_code == 200
        assert (await client.delete(SESSION, headers={"X-CSRF-Token": csrf})).status_code == 204
        assert (await elsewhere.get(SESSION)).status_code == 401
        seen = await rows(
            database,
            "SELECT actor, operation, origin FROM tds_audit_trail WHERE entity_type = 'browser_session' ORDER BY id",
        )
        assert [(one["actor"], one["operation"]) for one in seen] == [("Sara", "create"), ("Sara", "delete")]
        assert seen[0]["origin"] == f"127.0.0.1, token {operator.secret.prefix}"
        assert seen[1]["origin"].startswith("127.0.0.1, session ")

    async def test_with_their_token(self, client: AsyncClient, database: Database, operator: MadeToken) -> None:
        """At once."""
        await sign_in(client, operator)
        assert (await client.get(SESSION)).status_code == 200
        await revoke_token(database, operator)
        assert (await client.get(SESSION)).status_code == 401

    @pytest.mark.parametrize(
        "change",
        [
            "last_used_at = now() - interval '8 hours 1 second'",
            "expires_at = now() - interval '1 second'",
        ],
    )
    async def test_by_rest_and_by_age(
        self, client: AsyncClient, elsewhere: AsyncClient, database: Database, operator: MadeToken, change: str
    ) -> None:
        """Eight hours without use; and a moment in any case."""
        await sign_in(client, operator)
        elsewhere.cookies = client.cookies
        await execute(database, f"UPDATE browser_sessions SET {change}")
        assert (await elsewhere.get(SESSION)).status_code == 401

    async def test_with_the_token_of_the_settings(self, client: AsyncClient, database: Database) -> None:
        """A new one ends the sessions of the old one."""
        assert (await sign_in(client, STATIC)).json()["role"] == "admin"
        assert (await client.get(SESSION)).json()["name"] == "admin"
        server = ServerSettings(admin_token=SecretStr("another static token"))
        async with process(make_runtime(database, server=server)) as restarted:
            restarted.cookies = client.cookies
            assert (await restarted.get(SESSION)).status_code == 401

    async def test_there_is_none_to_end_with_a_token(self, client: AsyncClient, operator: MadeToken) -> None:
        """It says so."""
        assert (await client.delete(SESSION, headers=bearer(operator))).status_code == 409


class TestThrottle:
    """Attempts to sign in."""

    async def test_of_one_address_are_counted_for_all_processes(self, database: Database, operator: MadeToken) -> None:
        """The last one is refused though it is right, and told when to come again; another address is let in."""
        for turn in range(ADDRESS_LIMIT):
            async with another(database, address="203.0.113.9") as client:
                assert (await sign_in(client, new_token().text)).status_code == 401, turn
        async with another(database, address="203.0.113.9") as client:
            answer = await sign_in(client, operator)
        assert (answer.status_code, answer.json()["type"]) == (429, "urn:tds:problem:too-many-requests")
        assert 1 <= int(answer.headers["retry-after"]) <= 300
        async with another(database, address="203.0.113.10") as client:
            assert (await sign_in(client, operator)).status_code == 200

    async def test_of_one_token_are_counted_for_all_addresses(self, database: Database, operator: MadeToken) -> None:
        """Whoever guesses at one token from everywhere."""
        guess = operator.secret.prefix + "_" + "x" * 43
        for turn in range(PREFIX_LIMIT):
            async with another(database, address=f"203.0.113.{turn}") as client:
                assert (await sign_in(client, guess)).status_code == 401, turn
        async with another(database, address="203.0.113.99") as client:
            assert (await sign_in(client, guess)).status_code == 429

    async def test_are_forgotten_by_time_and_by_success(
        self, client: AsyncClient, database: Database, operator: MadeToken
    ) -> None:
        """A few mistakes do not add up over the days."""
        for _ in range(ADDRESS_LIMIT - 1):
            await sign_in(client, "wrong")
        assert (await sign_in(client, operator)).status_code == 200
        assert await value(database, "SELECT count(*) FROM login_attempts") == 0
        for _ in range(ADDRESS_LIMIT + 1):
            await sign_in(client, "wrong")
        assert (await sign_in(client, operator)).status_code == 429
        await execute(database, "UPDATE login_attempts SET since = since - interval '6 minutes'")
        assert (await sign_in(client, operator)).status_code == 200
