"""The event log: written with its cause, told after the commit, read in order without gaps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from time import perf_counter
from typing import Any

import pytest
from sqlalchemy import event as sa_event
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Database, join_or_begin
from app.core.events.event import DomainEvent
from app.core.events.event_bus import EventBus, event_bus
from app.core.events.event_log import RecordedEvent, read, record
from app.core.events.models import EventLogEntry, EventSubscription
from app.core.orm import Base

pytestmark = pytest.mark.integration


@pytest.fixture
async def log(database: Database) -> Database:
    """The database with an empty event log."""
    tables = [Base.metadata.tables[model.__tablename__] for model in (EventLogEntry, EventSubscription)]
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all, tables=tables)
        await connection.execute(text("CREATE TABLE IF NOT EXISTS event_log_rest PARTITION OF event_log DEFAULT"))
        await connection.execute(text("TRUNCATE event_log RESTART IDENTITY"))
    return database


@pytest.fixture
def bus() -> EventBus:
    """A bus of the test's own; its history shows what was published."""
    return EventBus()


def make(number: int = 0, event_type: str = "tds.entity.create") -> DomainEvent:
    """An event that can be told from others by its number."""
    return DomainEvent(event_type=event_type, data={"number": number})


def published(bus: EventBus) -> list[int]:
    """The numbers of the events on the bus, in order."""
    return [event.data["number"] for event in reversed(bus.get_event_history())]


async def count(database: Database) -> int:
    """How many events everybody can see in the table."""
    async with database.session() as session:
        return await session.scalar(select(func.count()).select_from(EventLogEntry)) or 0


async def numbers(database: Database, **options: Any) -> list[int]:
    """The numbers of the events that a reader gets now."""
    async with database.session() as session:
        return [one.event.data["number"] for one in await read(session, **options)]


async def read_all(database: Database, expected: int) -> list[RecordedEvent]:
    """What a reader gets once nobody else on this server holds it back: other databases' transactions count too."""
    async with asyncio.timeout(30):
        while True:
            async with database.session() as session:
                events = await read(session, limit=max(expected, 1) + 1)
            if len(events) >= expected:
                return events
            await asyncio.sleep(0.01)


class TestRecord:
    """Writing events."""

    async def test_writes_every_field(self, log: Database, bus: EventBus) -> None:
        """What is read is what was recorded, with money as a string."""
        event = DomainEvent(
            event_type="tds.entity.update",
            module="tds",
            occurred_at=datetime(2025, 1, 2, tzinfo=UTC),
            aggregate_type="product",
            aggregate_id="42",
            data={"price": Decimal("1.10"), "name": 'شاي "أسود"', "tags": ["a", None]},
            correlation_id="c-1",
        )
        async with log.transaction() as session:
            await record(session, [event], bus=bus)
        (recorded,) = await read_all(log, 1)
        assert recorded.event.as_dict() == event.as_dict()
        assert recorded.event.data["price"] == "1.10"
        assert recorded.event.aggregate_id == "42"

    async def test_is_one_statement(self, log: Database, bus: EventBus) -> None:
        """However many events: a thousand cost one statement."""
        statements: list[str] = []

        def note(*arguments: Any) -> None:
            statements.append(arguments[2])

        sa_event.listen(log.engine.sync_engine, "before_cursor_execute", note)
        async with log.transaction() as session:
            await record(session, [make(number) for number in range(1_000)], bus=bus)
        assert len(statements) == 1
        assert await count(log) == 1_000
        assert published(bus) == list(range(1_000))

    async def test_is_quick(self, log: Database, bus: EventBus) -> None:
        """A thousand events take a fraction of a second (measured: about 10 ms)."""
        events = [make(number) for number in range(1_000)]
        started = perf_counter()
        async with log.transaction() as session:
            await record(session, events, bus=bus)
        assert perf_counter() - started < 2

    async def test_does_nothing_without_events(self, log: Database, bus: EventBus) -> None:
        """An empty batch does not even begin a transaction."""
        async with log.session() as session:
            await record(session, [], bus=bus)
            assert not session.in_transaction()

    async def test_uses_the_bus_of_the_process(self, log: Database) -> None:
        """That is the one that modules subscribe to."""
        with event_bus.isolated():
            async with log.transaction() as session:
                await record(session, [make(5)])
            assert published(event_bus) == [5]

    async def test_works_on_a_plain_session(self, log: Database, bus: EventBus) -> None:
        """A session that is none of ours, committed by its owner, publishes just the same."""
        async with AsyncSession(log.engine) as session:
            await record(session, [make(1)], bus=bus)
            assert published(bus) == []
            await session.commit()
            assert published(bus) == [1]
            await record(session, [make(2)], bus=bus)
            await session.rollback()
            await record(session, [make(3)], bus=bus)
            await session.commit()
        assert published(bus) == [1, 3]

    async def test_works_in_a_services_transaction(self, log: Database, bus: EventBus) -> None:
        """Inside ``join_or_begin`` the events come out with whoever commits."""
        async with log.session() as session:
            async with join_or_begin(session):
                await record(session, [make(1)], bus=bus)
            assert published(bus) == [1]
            async with session.begin():
                async with join_or_begin(session):
                    await record(session, [make(2)], bus=bus)
                assert published(bus) == [1]
        assert published(bus) == [1, 2]


class TestAfterCommit:
    """On the bus after the commit, or never."""

    async def test_reaches_subscribers_after_the_commit(self, log: Database, bus: EventBus) -> None:
        """A handler sees in the database what its event tells of; one that fails costs the others nothing."""
        seen: list[int] = []

        @bus.subscribe("tds.*")
        def fail(event: DomainEvent) -> None:
            raise ValueError(event.event_type)

        @bus.subscribe("tds.*")
        async def look(event: DomainEvent) -> None:
            del event
            seen.append(await count(log))

        async with log.transaction() as session:
            await record(session, [make(1), make(2)], bus=bus)
            await asyncio.sleep(0)
            assert seen == []
        await bus.drain(timeout=10)
        assert seen == [2, 2]
        assert [one.failed for one in bus.subscriptions()] == [2, 0]

    async def test_never_happens_after_a_rollback(self, log: Database, bus: EventBus) -> None:
        """What was rolled back is neither in the log nor on the bus."""
        async with log.session() as session:
            await session.begin()
            await record(session, [make(1)], bus=bus)
            await session.rollback()
            assert not any(session.info.values()), "a long-lived session must not keep the events of its rollbacks"
        assert published(bus) == []
        assert await count(log) == 0

    async def test_never_happens_when_the_session_is_just_closed(self, log: Database, bus: EventBus) -> None:
        """Closing is a rollback, and a later transaction of the same session does not bring the events back."""
        async with log.session() as session:
            await record(session, [make(1)], bus=bus)
            await session.close()
            await record(session, [make(2)], bus=bus)
            await session.commit()
        assert published(bus) == [2]

    async def test_never_happens_when_the_commit_fails(self, log: Database, bus: EventBus) -> None:
        """A COMMIT that the server refuses publishes nothing."""
        async with log.engine.begin() as connection:
            await connection.execute(
                text("CREATE TABLE IF NOT EXISTS late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            )
        async with log.session() as session:
            await record(session, [make(1)], bus=bus)
            await session.execute(text("INSERT INTO late VALUES (1), (1)"))
            with pytest.raises(Exception, match="late_a_key"):
                await session.commit()
        assert published(bus) == []
        assert await count(log) == 0

    async def test_waits_for_the_outermost_commit(self, log: Database, bus: EventBus) -> None:
        """A released savepoint is not a commit."""
        async with log.transaction() as session:
            await record(session, [make(1)], bus=bus)
            async with session.begin_nested():
                await record(session, [make(2)], bus=bus)
                async with session.begin_nested():
                    await record(session, [make(3)], bus=bus)
                assert published(bus) == []
            assert published(bus) == []
            await record(session, [make(4)], bus=bus)
        assert published(bus) == [1, 2, 3, 4]

    async def test_drops_what_a_savepoint_takes_back(self, log: Database, bus: EventBus) -> None:
        """Of nested savepoints, those rolled back lose their events and those of savepoints released into them."""
        async with log.transaction() as session:
            await record(session, [make(1)], bus=bus)
            outer = await session.begin_nested()
            await record(session, [make(2)], bus=bus)
            async with session.begin_nested():
                await record(session, [make(3)], bus=bus)
            await outer.rollback()
            await record(session, [make(4)], bus=bus)
            inner = await session.begin_nested()
            await record(session, [make(5)], bus=bus)
            await inner.rollback()
        assert published(bus) == [1, 4]
        assert await count(log) == 2

    async def test_drops_open_savepoints_with_the_transaction(self, log: Database, bus: EventBus) -> None:
        """Rolling back the transaction from within a savepoint drops both."""
        async with log.session() as session:
            await session.begin()
            await record(session, [make(1)], bus=bus)
            await session.begin_nested()
            await record(session, [make(2)], bus=bus)
            await session.close()
            await record(session, [make(3)], bus=bus)
            await session.commit()
        assert published(bus) == [3]

    async def test_commits_open_savepoints_with_the_transaction(self, log: Database, bus: EventBus) -> None:
        """Committing while a savepoint is open releases it first."""
        async with log.session() as session:
            await session.begin()
            await record(session, [make(1)], bus=bus)
            await session.begin_nested()
            await record(session, [make(2)], bus=bus)
            await session.commit()
        assert published(bus) == [1, 2]

    async def test_keeps_sessions_apart(self, log: Database, bus: EventBus) -> None:
        """One session's commit does not publish another's events."""
        async with log.session() as first, log.session() as second:
            await record(first, [make(1)], bus=bus)
            await record(second, [make(2)], bus=bus)
            await second.commit()
            assert published(bus) == [2]
            await first.commit()
        assert published(bus) == [2, 1]


class TestRead:
    """Reading on from a position."""

    async def test_goes_on_from_a_position(self, log: Database, bus: EventBus) -> None:
        """Pages follow each other in the order of recording, without overlap."""
        async with log.transaction() as session:
            await record(session, [make(number) for number in range(10)], bus=bus)
        everything = await read_all(log, 10)
        assert [one.event.data["number"] for one in everything] == list(range(10))
        positions = [one.position for one in everything]
        assert positions == sorted(set(positions))
        assert await numbers(log, after_position=positions[3], limit=3) == [4, 5, 6]
        assert await numbers(log, after_position=positions[-1]) == []

    async def test_picks_types(self, log: Database, bus: EventBus) -> None:
        """With types given, others are passed over."""
        events = [make(1, "tds.a"), make(2, "tds.b"), make(3, "tds.c")]
        async with log.transaction() as session:
            await record(session, events, bus=bus)
        await read_all(log, 3)
        assert await numbers(log, event_types=["tds.a", "tds.c"]) == [1, 3]
        assert await numbers(log, event_types=[]) == []

    async def test_holds_back_behind_an_open_transaction(self, log: Database, bus: EventBus) -> None:
        """A later event that was committed earlier is shown only when the earlier one is decided: no gap, ever."""
        async with log.session() as slow:
            await record(slow, [make(1)], bus=bus)
            async with log.transaction() as quick:
                await record(quick, [make(2)], bus=bus)
            assert await count(log) == 1
            assert await numbers(log) == []
            await slow.commit()
        assert [one.event.data["number"] for one in await read_all(log, 2)] == [1, 2]

    async def test_goes_on_when_the_open_transaction_fails(self, log: Database, bus: EventBus) -> None:
        """A rollback leaves a hole in the positions, not in the reading."""
        async with log.session() as slow:
            await record(slow, [make(1)], bus=bus)
            async with log.transaction() as quick:
                await record(quick, [make(2)], bus=bus)
            await slow.rollback()
        assert [one.event.data["number"] for one in await read_all(log, 1)] == [2]

    async def test_misses_nothing_under_concurrency(self, log: Database, bus: EventBus) -> None:
        """Writers commit in any order while a reader passes on: it gets every event once, positions rising."""
        writers, each = 3, 40
        got: list[RecordedEvent] = []
        async with asyncio.TaskGroup() as tasks:
            for writer in range(writers):
                tasks.create_task(self._write(log, bus, range(writer * each, (writer + 1) * each)))
            tasks.create_task(self._follow(log, got, writers * each))
        assert sorted(one.event.data["number"] for one in got) == list(range(writers * each))
        assert [one.position for one in got] == sorted(one.position for one in got)

    @staticmethod
    async def _write(log: Database, bus: EventBus, batch: Sequence[int]) -> None:
        for number in batch:
            async with log.transaction() as session:
                await record(session, [make(number)], bus=bus)

    @staticmethod
    async def _follow(log: Database, got: list[RecordedEvent], expected: int) -> None:
        async with asyncio.timeout(60):
            while len(got) < expected:
                after = got[-1].position if got else 0
                async with log.session() as session:
                    got.extend(await read(session, after_position=after, limit=7))


class TestModels:
    """The tables."""

    async def test_takes_a_transaction_id_before_a_position(self, log: Database) -> None:
        """The order of the columns is what makes reading free of gaps."""
        statement = text(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'event_log'::regclass AND attnum > 0 ORDER BY attnum"
        )
        async with log.session() as session:
            names = list(await session.scalars(statement))
        assert names.index("xid") < names.index("position")

    async def test_remembers_a_subscription(self, log: Database) -> None:
        """A durable subscriber's position and transaction survive the round trip."""
        async with log.transaction() as session:
            session.add(EventSubscription(name="search", pattern="tds.*", position=2**40, xid=2**33))
        async with log.session() as session:
            row = (await session.scalars(select(EventSubscription))).one()
        assert (row.position, row.xid, row.attempts) == (2**40, 2**33, 0)
        assert row.updated_at.tzinfo is UTC
