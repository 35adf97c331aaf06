"""API tokens: stored as hashes, revoked at once in every process, each use of one noted, each change recorded."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from app.bootstrap import Runtime
from app.core.database import Database
from app.core.security.principals import Role
from app.core.security.tokens import MadeToken, Tokens
from app.tds.core.audit import record_access
from tests.integration.access.conftest import STATIC, make_runtime, process
from tests.support.access import bearer, make_token, revoke_token
from tests.support.pipeline import rows, value

pytestmark = pytest.mark.integration

WHOAMI = "/api/auth/session"
TOKENS = "/api/auth/tokens"


def headers_of(made: MadeToken) -> list[tuple[bytes, bytes]]:
    """The raw headers that present a token."""
    return [(b"host", b"localhost"), (b"authorization", f"Bearer {made.secret.text}".encode())]


class TestStored:
    """What the database holds of a token."""

    async def test_is_a_hash_and_a_prefix(self, database: Database) -> None:
        """The text stands in no row, not even of the audit trail."""
        made = await make_token(database, Role.VIEWER, name="phone")
        told = str(await rows(database, "SELECT * FROM api_tokens")) + str(
            await rows(database, "SELECT * FROM tds_audit_trail")
        )
        assert made.secret.prefix in told
        assert made.secret.text.rpartition("_")[2] not in told

    async def test_making_and_revoking_are_recorded(self, client: AsyncClient, database: Database) -> None:
        """Who, from where, what."""
        admin = await make_token(database, Role.ADMIN, name="Ann")
        client.headers |= bearer(admin)
        answer = await client.post(TOKENS, json={"name": "phone", "role": "operator"})
        assert answer.status_code == 201
        await client.delete(f"{TOKENS}/{answer.json()['made']['id']}")
        made, revoked = await rows(
            database, "SELECT * FROM tds_audit_trail WHERE entity_type = 'api_token' AND actor = 'Ann' ORDER BY id"
        )
        assert made["origin"] == revoked["origin"] == f"127.0.0.1, token {admin.secret.prefix}"
        assert (made["operation"], made["after"]["role"]) == ("create", "operator")
        assert (revoked["operation"], revoked["after"]) == ("update", {"revoked": True})


class TestOverHttp:
    """``/api/auth/tokens``."""

    async def test_a_token_made_there_works_and_is_listed_without_its_text(self, client: AsyncClient) -> None:
        """Its text is told once."""
        made = (await client.post(TOKENS, json={"name": "phone", "expires_in": "12h"}, headers=bearer(STATIC))).json()
        mine = (await client.get(WHOAMI, headers=bearer(made["token"]))).json()
        assert (mine["name"], mine["role"], mine["kind"]) == ("phone", "viewer", "token")
        listed = await client.get(TOKENS, headers=bearer(STATIC))
        (row,) = listed.json()["items"]
        assert (row["prefix"], row["state"], row["created_by"]) == (made["token"][:12], "active", "admin")
        assert made["token"] not in listed.text

    async def test_the_list_pages(self, client: AsyncClient, database: Database) -> None:
        """Newest first, each once."""
        ids = [str((await make_token(database, Role.VIEWER, name=f"t{n}")).row.id) for n in range(3)]
        first = (await client.get(f"{TOKENS}?limit=2", headers=bearer(STATIC))).json()
        second = (
            await client.get(TOKENS, params={"limit": "2", "cursor": first["next_cursor"]}, headers=bearer(STATIC))
        ).json()
        assert [one["id"] for one in first["items"] + second["items"]] == ids[::-1]
        assert second["next_cursor"] is None

    @pytest.mark.parametrize(
        "body",
        [
            {"name": "a\nb"},
            {"name": "a\u202eb"},
            {"name": " "},
            {"name": "x" * 101},
            {"name": "x", "expires_in": "0d"},
            {"name": "x", "expires_in": "999999w"},
            {"name": "x", "expires_in": "soon"},
            {"name": "x", "role": "god"},
            {"name": "x", "rights": "all"},
            {},
        ],
        ids=str,
    )
    async def test_what_cannot_be_a_token_is_refused(
        self, client: AsyncClient, database: Database, body: dict[str, str]
    ) -> None:
        """A name that would forge a line of the log, an odd time, an unknown role."""
        assert (await client.post(TOKENS, json=body, headers=bearer(STATIC))).status_code == 422
        assert await value(database, "SELECT count(*) FROM api_tokens") == 0

    async def test_revoking_twice_or_nothing_says_so(self, client: AsyncClient, database: Database) -> None:
        """409, and 404."""
        made = await make_token(database, Role.VIEWER)
        url = f"{TOKENS}/{made.row.id}"
        assert (await client.delete(url, headers=bearer(STATIC))).json()["state"] == "revoked"
        assert (await client.delete(url, headers=bearer(STATIC))).status_code == 409
        assert (await client.delete(url.replace("0", "1"), headers=bearer(STATIC))).status_code == 404


class TestRevoked:
    """Revoking."""

    async def test_takes_effect_at_once_in_every_process(self, database: Database, runtime: Runtime) -> None:
        """Another process has verified the token, and remembers it: its very next request is refused."""
        made = await make_token(database, Role.VIEWER)
        async with process(make_runtime(database)) as elsewhere:
            for _ in range(2):
                assert (await elsewhere.get(WHOAMI, headers=bearer(made))).status_code == 200
            async with process(runtime) as here:
                assert (await here.delete(f"{TOKENS}/{made.row.id}", headers=bearer(STATIC))).status_code == 200
            assert (await elsewhere.get(WHOAMI, headers=bearer(made))).status_code == 401

    async def test_what_is_recalled_belongs_to_one_epoch(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """Within it, synchronously; after it, nobody."""
        made = await make_token(database, Role.OPERATOR)
        headers = headers_of(made)
        assert runtime.gate.recall(headers, await runtime.epochs.current()) is None
        await client.get(WHOAMI, headers=bearer(made))
        known = runtime.gate.recall(headers, await runtime.epochs.current())
        assert known is not None
        assert known.role is Role.OPERATOR
        await revoke_token(database, made)
        assert runtime.gate.recall(headers, await runtime.epochs.current()) is None

    async def test_one_that_was_refused_is_not_remembered(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """Nothing is kept of it."""
        expired = await make_token(database, Role.VIEWER, expires_in=timedelta(seconds=-1))
        assert (await client.get(WHOAMI, headers=bearer(expired))).status_code == 401
        assert runtime.gate.recall(headers_of(expired), await runtime.epochs.current()) is None


class TestUse:
    """When a token was last used."""

    async def test_is_written_once_a_minute_off_the_way(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """Three requests, one write; the requests wait for none."""
        made = await make_token(database, Role.VIEWER)
        await client.get(WHOAMI, headers=bearer(made))
        await runtime.gate.settle()
        first = await value(database, "SELECT last_used_at FROM api_tokens")
        assert first is not None
        await client.get(WHOAMI, headers=bearer(made))
        await runtime.gate.settle()
        assert await value(database, "SELECT last_used_at FROM api_tokens") == first

    async def test_a_database_that_cannot_write_it_disturbs_nobody(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """The request is answered all the same."""
        made = await make_token(database, Role.VIEWER)
        async with database.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE api_tokens ADD CHECK (last_used_at IS NULL)")
        assert (await client.get(WHOAMI, headers=bearer(made))).status_code == 200
        await runtime.gate.settle()
        assert await value(database, "SELECT last_used_at FROM api_tokens") is None

    async def test_does_not_keep_a_process_from_ending(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """While somebody holds the row it cannot be written: that is given up."""
        made = await make_token(database, Role.VIEWER)
        async with database.transaction() as session:
            await session.execute(text("SELECT FROM api_tokens FOR UPDATE"))
            await client.get(WHOAMI, headers=bearer(made))
            await runtime.settle(0.05)
            assert await value(database, "SELECT last_used_at FROM api_tokens") is None


class TestFirst:
    """The first token of all."""

    async def test_is_made_by_one_of_many_processes_and_never_again(self, database: Database) -> None:
        """Eight start at once; and one that was revoked is not followed by another."""

        async def start() -> MadeToken | None:
            async with database.session() as session:
                return await Tokens(session, record_access).create_first()

        made = [one for one in await asyncio.gather(*(start() for _ in range(8))) if one is not None]
        assert len(made) == 1
        assert made[0].row.role == "admin"
        await revoke_token(database, made[0])
        assert await start() is None
