"""What a guarded route refuses before it looks: tricks with headers, odd text, large bodies, too many requests."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import update
from structlog.testing import capture_logs

from app.bootstrap import Runtime
from app.core.config import ServerSettings
from app.core.database import Database
from app.core.models import ApiToken
from app.core.security.guard import guarded_router, open_router
from app.core.security.principals import Role
from app.core.security.tokens import MadeToken
from tests.integration.access.conftest import STATIC, make_runtime, process
from tests.support.access import bearer, make_token
from tests.support.pipeline import rows

pytestmark = pytest.mark.integration

WHOAMI = "/api/auth/session"
TOKENS = "/api/auth/tokens"


@pytest.fixture
async def viewer(database: Database) -> MadeToken:
    """A viewer's token."""
    return await make_token(database, Role.VIEWER, name="Ann")


def raw(*headers: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as they are sent."""
    return [(name.encode(), value.encode()) for name, value in headers]


class TestHeaderTricks:
    """A credential is one, and whole."""

    @pytest.mark.parametrize(
        "header",
        [
            "{token}",
            "Bearer",
            "Bearer ",
            "Bearer {token} x",
            "Bearer {token},{token}",
            "Bearer {token}\\",
            "Basic {token}",
            "Token {token}",
            "Bearer\t{token}",
            "Bearer Bearer {token}",
            "Bearer {prefix}",
            "Bearer {upper}",
            "Bearer {token}" + " " * 8_200 + "x",
        ],
    )
    async def test_nothing_like_a_bearer_token_is_one(
        self, client: AsyncClient, viewer: MadeToken, header: str
    ) -> None:
        """401, whether or not the right one is remembered from a moment ago."""
        assert (await client.get(WHOAMI, headers=bearer(viewer))).status_code == 200
        text = viewer.secret.text
        sent = header.format(token=text, prefix=viewer.secret.prefix, upper=text.upper())
        assert (await client.get(WHOAMI, headers=raw(("Authorization", sent)))).status_code == 401

    async def test_two_of_them_are_none(self, client: AsyncClient, viewer: MadeToken) -> None:
        """Whichever a proxy would take, the right one may be the other."""
        await client.get(WHOAMI, headers=bearer(viewer))
        right, wrong = f"Bearer {viewer.secret.text}", f"Bearer {'x' * 56}"
        for one, other in ((right, wrong), (wrong, right), (right, right)):
            answer = await client.get(WHOAMI, headers=raw(("Authorization", one), ("Authorization", other)))
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"

    async def test_the_scheme_may_be_written_in_any_case(self, client: AsyncClient, viewer: MadeToken) -> None:
        """As HTTP says."""
        assert (await client.get(WHOAMI, headers={"Authorization": f"bEARER {viewer.secret.text}"})).is_success

    async def test_a_token_in_the_address_or_a_cookie_is_none(self, client: AsyncClient, viewer: MadeToken) -> None:
        """Addresses end in logs."""
        text = viewer.secret.text
        for query in ("access_token", "token"):
            assert (await client.get(f"{WHOAMI}?{query}={text}")).status_code == 401
        for name in ("tds_session", "__Host-tds_session", "Authorization"):
            assert (await client.get(WHOAMI, headers={"Cookie": f"{name}={text}"})).status_code == 401

    async def test_the_callers_word_on_the_method_or_address_is_not_heard(
        self, client: AsyncClient, viewer: MadeToken
    ) -> None:
        """Neither is its role."""
        headers = {"X-HTTP-Method-Override": "GET", "X-Original-URL": WHOAMI, "X-Role": "admin", "X-Actor": "admin"}
        answer = await client.post("/api/bff/tds/pauses", json={}, headers=headers | bearer(viewer))
        assert answer.status_code == 403

    async def test_forwarded_headers_of_anybody_are_ignored(
        self, client: AsyncClient, database: Database, viewer: MadeToken
    ) -> None:
        """The address in the audit trail is the connection's."""
        headers = {"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X-Real-IP": "6.6.6.6"}
        await client.post(TOKENS, json={"name": "x"}, headers=headers | bearer(STATIC))
        del viewer
        (row,) = await rows(database, "SELECT origin FROM tds_audit_trail WHERE actor = 'admin'")
        assert row["origin"] == "127.0.0.1, token TDS_SERVER_ADMIN_TOKEN"


class TestNames:
    """A name is what stands in logs and tables."""

    async def test_one_that_was_forged_in_the_database_injects_no_line(
        self, client: AsyncClient, database: Database, viewer: MadeToken
    ) -> None:
        """Line breaks, terminal codes and marks that turn text around come out as spaces."""
        forged = 'Ann\n{"event": "all is well"}\x1b[2J\u202e' + "x" * 200
        async with database.transaction() as session:
            await session.execute(update(ApiToken).values(name=forged, role="admin"))
        mine = (await client.get(WHOAMI, headers=bearer(viewer))).json()["name"]
        assert mine.isprintable()
        assert len(mine) == 100
        await client.post(TOKENS, json={"name": "x"}, headers=bearer(viewer))
        actors = [one["actor"] for one in await rows(database, "SELECT actor FROM tds_audit_trail ORDER BY id")]
        assert actors[-1] == mine

    async def test_a_refused_sign_in_is_logged_without_the_token(self, client: AsyncClient) -> None:
        """From where, and which prefix; a text that is no token has none."""
        with capture_logs() as logs:
            await client.post(WHOAMI, json={"token": "tds_ab12cd34_" + "x" * 43})
            await client.post(WHOAMI, json={"token": 'evil"\n{"event": "signed_in"}'})
        refused = [one for one in logs if one["event"] == "sign_in_refused"]
        assert [one["prefix"] for one in refused] == ["tds_ab12cd34", None]
        assert "xxxx" not in str(logs)
        assert "evil" not in str(logs)

    @pytest.mark.parametrize("given", ["a" * 101, "a b", "é", "a\tb", "../x", '"', ""])
    async def test_a_request_id_that_is_no_plain_word_is_replaced(self, client: AsyncClient, given: str) -> None:
        """It stands in logs."""
        answer = await client.get(WHOAMI, headers=raw(("X-Request-Id", given)))
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        kept = await client.get(WHOAMI, headers={"X-Request-Id": "phone-4711.a_b"})
        assert kept.headers["x-request-id"] == kept.json()["request_id"] == "phone-4711.a_b"


class TestText:
    """Addresses and bodies hold text that a database can keep."""

    @pytest.mark.parametrize("query", ["limit=%00", "%00=1", "limit=1%00", "limit=%ED%A0%80", "limit=%FF", "l=1"])
    async def test_a_query_that_is_no_text_or_unknown_is_refused(self, client: AsyncClient, query: str) -> None:
        """NUL, unpaired surrogates, no UTF-8, a misspelt name: 422, and nothing of it is told to a stranger."""
        assert (await client.get(f"{TOKENS}?{query}", headers=bearer(STATIC))).status_code == 422
        assert (await client.get(f"{TOKENS}?{query}")).status_code == 401

    @pytest.mark.parametrize("part", ["%00", "a%00", "%ED%A0%80", "%FF", "%C0%AF"])
    async def test_a_path_that_is_no_text_is_refused(self, client: AsyncClient, part: str) -> None:
        """The same."""
        for url in (f"{TOKENS}/{part}", f"/api/tds/pauses/zoho/{part}", f"/api/tds/pauses/{part}/x"):
            assert (await client.delete(url, headers=bearer(STATIC))).status_code == 422

    @pytest.mark.parametrize(
        "body",
        [
            rb'{"name":"a\u0000"}',
            rb'{"name":"\ud800"}',
            rb'{"\ud800":"a"}',
            rb'{"name":"\udc00\ud800"}',
            b'{"name":"\xed\xa0\x80"}',
            b'{"name":"\xff"}',
            b'{"name":NaN}',
            b"{" * 100_000,
            b"[" * 3_000 + b"]" * 3_000,
            b'{"name":',
            b'"name"',
            b"null",
            b"",
        ],
    )
    async def test_a_body_that_is_no_text_is_refused(self, client: AsyncClient, body: bytes) -> None:
        """422 with a problem document, never 500."""
        headers = bearer(STATIC) | {"Content-Type": "application/json"}
        answer = await client.post(TOKENS, content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")

    async def test_an_escaped_backslash_is_no_nul(self, client: AsyncClient) -> None:
        """Text about NUL is text."""
        headers = bearer(STATIC) | {"Content-Type": "application/json"}
        answer = await client.post(TOKENS, content=rb'{"name":"a\\u0000"}', headers=headers)
        assert answer.json()["made"]["name"] == "a\\u0000"


class TestBodies:
    """Bodies have a size."""

    @pytest.mark.parametrize("length", ["3000000", "-1", "1e3", "٣", "9" * 5_000])
    async def test_one_that_says_an_odd_size_is_not_read(self, client: AsyncClient, length: str) -> None:
        """413."""
        headers = raw(*bearer(STATIC).items(), ("Content-Length", length))
        assert (await client.post(TOKENS, content=b"{}", headers=headers)).status_code == 413

    async def test_one_that_does_not_say_it_is_read_so_far(self, client: AsyncClient) -> None:
        """In chunks, two megabytes and no more; of a stranger nothing."""
        read = 0

        async def chunks() -> AsyncGenerator[bytes]:
            nonlocal read
            for _ in range(40):
                read += 100_000
                yield b" " * 100_000

        assert (await client.post(TOKENS, content=chunks(), headers=bearer(STATIC))).status_code == 413
        assert read <= 4_000_000

    async def test_small_ones_may_come_in_chunks(self, client: AsyncClient) -> None:
        """A phone's library may send them so."""

        async def chunks() -> AsyncGenerator[bytes]:
            yield b'{"name":'
            yield b'"x"}'

        headers = bearer(STATIC) | {"Content-Type": "application/json"}
        assert (await client.post(TOKENS, content=chunks(), headers=headers)).status_code == 201


class TestRate:
    """How often one may ask."""

    async def test_is_each_tokens_own(self, database: Database, viewer: MadeToken) -> None:
        """The third at once is told how long to wait; another token is not concerned."""
        server = ServerSettings(admin_token=SecretStr(STATIC), rate_per_minute=6, rate_burst=2)
        async with process(make_runtime(database, server=server)) as client:
            answers = [await client.get(WHOAMI, headers=bearer(viewer)) for _ in range(3)]
            assert [one.status_code for one in answers] == [200, 200, 429]
            assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
            assert answers[-1].headers["content-type"] == "application/problem+json"
            assert (await client.get(WHOAMI, headers=bearer(STATIC))).status_code == 200


class TestHeaders:
    """What every answer bears."""

    @pytest.fixture
    def crashing(self, app: FastAPI, runtime: Runtime) -> FastAPI:
        """The application with a route that crashes."""
        router = guarded_router(runtime.gate, prefix="/crash")

        @router.get("")
        async def crash() -> None:
            raise RuntimeError("a crash")

        app.include_router(router)
        return app

    @pytest.mark.parametrize(
        ("path", "status"), [("/health/live", 200), ("/nowhere", 404), (WHOAMI, 401), ("/crash", 500)]
    )
    async def test_errors_and_crashes_too(self, crashing: FastAPI, path: str, status: int) -> None:
        """Nothing is sniffed, framed, cached or told to the next page; by https only from then on."""
        transport = ASGITransport(crashing, raise_app_exceptions=False)
        headers = bearer(STATIC) if path == "/crash" else {}
        async with AsyncClient(transport=transport, base_url="https://erp.example") as client:
            answer = await client.get(path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert len(answer.headers.get_list("x-request-id")) == 1

    async def test_plain_http_promises_no_https(self, client: AsyncClient) -> None:
        """A desk would be locked out."""
        assert "strict-transport-security" not in (await client.get("/health/live")).headers

    async def test_other_origins_may_not(self, client: AsyncClient) -> None:
        """Unless they are named, and then without cookies."""
        asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
        for answer in (await client.options(WHOAMI, headers=asked), await client.get(WHOAMI, headers=asked)):
            assert not [name for name in answer.headers if name.startswith("access-control-")]

    async def test_those_that_are_named_may(self, database: Database, viewer: MadeToken) -> None:
        """With a bearer token; the answer can be read, and so can its page links."""
        server = ServerSettings(admin_token=SecretStr(STATIC), cors_origins=("https://erp.example",))
        async with process(make_runtime(database, server=server)) as client:
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
            allowed = await client.options(WHOAMI, headers={"Origin": "https://erp.example", **asked})
            assert allowed.headers["access-control-allow-origin"] == "https://erp.example"
            refused = await client.options(WHOAMI, headers={"Origin": "https://evil.example", **asked})
            assert "access-control-allow-origin" not in refused.headers
            read = await client.get(WHOAMI, headers={"Origin": "https://erp.example"} | bearer(viewer))
            assert read.headers["access-control-allow-origin"] == "https://erp.example"
            assert "Link" in read.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in read.headers


class TestDescription:
    """The API's description."""

    async def test_is_for_viewers_and_tells_each_operations_role(self, client: AsyncClient, viewer: MadeToken) -> None:
        """With how to prove who one is, and how refusals look; names are unique, and pages load from nowhere else."""
        assert (await client.get("/openapi.json")).status_code == 401
        described = (await client.get("/openapi.json", headers=bearer(viewer))).json()
        assert set(described["components"]["securitySchemes"]) == {"bearer", "session"}
        operations: list[dict[str, Any]] = [
            one
            for path, methods in described["paths"].items()
            for one in methods.values()
            if not path.startswith(("/health", "/api/tds/webhooks"))
        ]
        roles = {one["operationId"]: one["x-role"] for one in operations}
        assert (roles["listTokens"], roles["startRun"], roles["listRuns"]) == ("admin", "operator", "viewer")
        assert roles["signIn"] == "nobody"
        for one in operations:
            assert bool(one["security"]) is (one["x-role"] != "nobody")
            if one["security"]:
                assert {"401", "403", "429"} <= set(one["responses"])
        names = [one["operationId"] for methods in described["paths"].values() for one in methods.values()]
        assert len(names) == len(set(names))
        for path in ("/docs", "/redoc"):
            assert (await client.get(path, headers=bearer(viewer))).status_code == 404


class TestOpenRoutes:
    """Routes that ask nobody who they are."""

    async def test_take_as_little_as_the_others(self, app: FastAPI) -> None:
        """Unknown parameters, odd text and large bodies are refused there too."""
        router = open_router(prefix="/open")

        @router.post("")
        async def take(body: dict[str, Any]) -> dict[str, Any]:
            return body

        app.include_router(router)
        async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
            assert (await client.post("/open", json={"a": 1})).json() == {"a": 1}
            assert (await client.post("/open?x=1", json={})).status_code == 422
            assert (await client.post("/open?%00", json={})).status_code == 422
            assert (await client.post("/open", content=b" " * 3_000_000)).status_code == 413
