"""Webhooks in, over HTTP: whatever is sent, a clear answer, nothing lost, nothing half written, never a 500."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import func, select, text

from app.bootstrap import Runtime
from app.core.database import Database
from app.core.events.event_bus import event_bus
from app.erp.models import Product
from app.tds import EventStatus, SyncWorker, TDSDeadLetterQueue, TDSInboxEvent, TDSSyncQueue
from app.tds.core.validation import validate_batch
from tests.integration.api.conftest import SECRET, deliver, signed

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

URL = "/api/tds/webhooks/zoho"
GOOD = '{"item":{"item_id":"2646610000900000001","name":"كيبل HDMI &quot;4K&quot;","rate":12500.5}}'.encode()


def assert_problem(answer: Response, status: int, code: str) -> None:
    """A problem document of this status and type, with a request id."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:tds:problem:{code}"
    assert body["status"] == status
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]


async def stored(database: Database) -> int:
    """How many deliveries the inbox holds."""
    async with database.session() as session:
        return await session.scalar(select(func.count()).select_from(TDSInboxEvent)) or 0


async def process(runtime: Runtime) -> None:
    """What the loops of a worker process do, once."""
    async with runtime.database.transaction() as session:
        await validate_batch(session, runtime.sources, limit=100)
    await SyncWorker(database=runtime.database).process_batch()


class TestAccepted:
    """Genuine deliveries."""

    async def test_a_202_means_that_the_raw_bytes_are_committed(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """The row holds the body byte for byte, and from it comes the product with its Arabic name."""
        answer = await deliver(client, GOOD)
        assert answer.status_code == 202
        assert answer.json()["status"] == "accepted"
        async with database.session() as session:
            event = await session.get(TDSInboxEvent, UUID(answer.json()["event_id"]))
            assert event is not None
            assert (event.body, event.status) == (GOOD, EventStatus.PENDING)
        await process(runtime)
        async with database.session() as session:
            product = (await session.execute(select(Product))).scalar_one()
            assert product.name == 'كيبل HDMI "4K"'
            assert await session.scalar(select(TDSInboxEvent.status)) is EventStatus.COMPLETED

    async def test_the_same_bytes_again_have_no_second_effect_and_are_seen(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """Many deliveries at once, one effect: the others say whose duplicates they are."""
        answers = await asyncio.gather(*(deliver(client, GOOD) for _ in range(5)))
        bodies = [answer.json() for answer in answers]
        (first,) = [body for body in bodies if body["status"] == "accepted"]
        others = [body for body in bodies if body["status"] == "duplicate"]
        assert [body["duplicate_of"] for body in others] == [first["event_id"]] * 4
        await process(runtime)
        async with database.session() as session:
            assert await session.scalar(select(func.count()).select_from(TDSSyncQueue)) == 1
            cancelled = select(func.count()).where(TDSInboxEvent.status == EventStatus.CANCELLED)
            assert await session.scalar(cancelled) == 4
        assert [event.event_type for event in event_bus.get_event_history()] == ["tds.entity.create"]

    async def test_an_id_as_a_number_keeps_its_digits(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """Eighteen digits do not pass through a float."""
        await deliver(client, b'{"item":{"item_id":264661000090000001,"name":"x"}}')
        await process(runtime)
        async with database.session() as session:
            assert await session.scalar(select(TDSSyncQueue.source_entity_id)) == "264661000090000001"


class TestUnmappable:
    """Genuine, but not to be understood: kept, with the reason."""

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"this is not JSON", "not_json"),
            (b"", "not_json"),
            (b"\xff\xfe\x00", "not_json"),
            (b'[{"item_id":"1"}]', "not_an_object"),
            (b'{"spaceship":{"id":"1"}}', "unknown_entity"),
            (b'{"item":{"name":"no id"}}', "missing_id"),
            (b'{"item":{"item_id":"1","name":"a\\u0000b"}}', "nul_character"),
            (b'{"item":{"item_id":"1","name":"x","rate":"free"}}', "invalid_field"),
            (b'{"item":' + b'{"a":' * 1_500 + b"1" + b"}" * 1_500 + b"}", "too_deep"),
            (b'{"item":{"item_id":1.5e300,"name":"x"}}', "invalid_field"),
            (b'{"item":{"item_id":"1","name":"x","last_modified_time":"9999-12-31T23:59:59+0000"}}', "time_in_future"),
        ],
        ids=["text", "empty", "bytes", "array", "unknown", "no-id", "nul", "field", "deep", "float-id", "future"],
    )
    async def test_it_is_accepted_and_becomes_a_dead_letter(
        self, client: AsyncClient, database: Database, runtime: Runtime, body: bytes, code: str
    ) -> None:
        """202, one dead letter that says why, the raw bytes kept, nothing in the queue."""
        answer = await deliver(client, body)
        assert answer.status_code == 202
        await process(runtime)
        async with database.session() as session:
            letter = (await session.execute(select(TDSDeadLetterQueue))).scalar_one()
            event = (await session.execute(select(TDSInboxEvent))).scalar_one()
            assert (letter.inbox_event_id, event.body, event.status) == (event.id, body, EventStatus.DEAD_LETTER)
            assert event.validation_errors
            assert await session.scalar(select(func.count()).select_from(TDSSyncQueue)) == 0
        assert letter.error_code == code
        assert letter.failure_reason


class TestRefused:
    """Deliveries that are not stored."""

    async def test_an_unsigned_one(self, client: AsyncClient, database: Database) -> None:
        """401, and the answer says what to set."""
        answer = await client.post(URL, content=GOOD)
        assert_problem(answer, 401, "signature")
        assert "secret" in answer.json()["detail"]
        assert await stored(database) == 0

    @pytest.mark.parametrize("secret", ["anothersecret123", SECRET.upper()])
    async def test_a_wrongly_signed_one(self, client: AsyncClient, database: Database, secret: str) -> None:
        """401."""
        answer = await client.post(URL, content=GOOD, headers=signed(GOOD, secret=secret))
        assert_problem(answer, 401, "signature")
        assert await stored(database) == 0

    async def test_a_body_that_was_changed_on_its_way(self, client: AsyncClient, database: Database) -> None:
        """401."""
        answer = await client.post(URL, content=GOOD.replace(b"12500", b"1"), headers=signed(GOOD))
        assert_problem(answer, 401, "signature")
        assert await stored(database) == 0

    @pytest.mark.parametrize("declared", [True, False])
    async def test_one_that_is_too_large(self, client: AsyncClient, database: Database, *, declared: bool) -> None:
        """413, whether its length is declared or found out."""
        body = b'{"item":{"item_id":"1","name":"' + b"x" * 20_000 + b'"}}'

        async def chunks() -> AsyncGenerator[bytes]:
            for start in range(0, len(body), 1_000):
                yield body[start : start + 1_000]

        answer = await client.post(URL, content=body if declared else chunks(), headers=signed(body))
        assert_problem(answer, 413, "body-too-large")
        assert "16384" in answer.json()["detail"]
        assert await stored(database) == 0

    async def test_one_for_an_unknown_source(self, client: AsyncClient) -> None:
        """404."""
        answer = await client.post("/api/tds/webhooks/odoo", content=GOOD, headers=signed(GOOD))
        assert_problem(answer, 404, "unknown-source")

    async def test_an_unknown_path_or_method(self, client: AsyncClient) -> None:
        """404 and 405, as problem documents too."""
        assert_problem(await client.get("/nowhere"), 404, "not-found")
        assert_problem(await client.get(URL), 405, "method-not-allowed")


class TestDatabaseTrouble:
    """A failing database."""

    async def test_a_commit_that_fails_is_no_202(self, client: AsyncClient, database: Database) -> None:
        """The trigger lets the insert pass and fails the COMMIT: the sender must hear of it, and send again."""
        async with database.transaction() as session:
            await session.execute(
                text(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$"
                )
            )
            await session.execute(
                text(
                    "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON tds_dedupe_keys "
                    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
                )
            )
        answer = await deliver(client, GOOD)
        assert_problem(answer, 503, "database-unavailable")
        assert answer.headers["retry-after"]
        assert await stored(database) == 0
        async with database.transaction() as session:
            await session.execute(text("DROP TRIGGER refuse ON tds_dedupe_keys"))
        assert (await deliver(client, GOOD)).json()["status"] == "accepted"

    async def test_a_cut_connection_costs_nothing(self, client: AsyncClient, database: Database) -> None:
        """Every pooled connection is terminated: the next delivery is stored all the same."""
        assert (await deliver(client, GOOD)).status_code == 202
        async with database.session() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        other = GOOD.replace(b"12500.5", b"13000")
        assert (await deliver(client, other)).status_code in {202, 503}
        assert (await deliver(client, other)).status_code == 202
