"""The end of the event log is told in order, without loss and without doubling, whatever transactions do meanwhile."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Database
from app.core.events import event_log
from app.core.events.event_bus import EventBus
from app.core.events.event_log import RecordedEvent
from app.core.events.tail import EventTail, LogBounds
from tests.support.events import make

BUS = EventBus()


async def write(session: AsyncSession, *numbers: int) -> None:
    """Record events in the session's transaction."""
    await event_log.record(session, [make(number=number) for number in numbers], bus=BUS)


async def commit(database: Database, *numbers: int) -> None:
    """Record events in a transaction of their own."""
    async with database.transaction() as session:
        await write(session, *numbers)


async def at_end(database: Database, *, batch: int = 500) -> EventTail:
    """A tail that stands at the end of the log."""
    tail = EventTail(database, batch=batch)
    while not await tail.seek_end():  # transactions of other databases on the same server count too
        pass
    return tail


async def rest(tail: EventTail) -> list[RecordedEvent]:
    """All that is to be told, once nothing stands open."""
    got: list[RecordedEvent] = []
    while (more := await tail.advance()) or tail.waiting:
        got += more
    return got


def told(events: list[RecordedEvent]) -> list[int]:
    """The numbers of what was told."""
    return [one.event.data["number"] for one in events]


class TestSeekEnd:
    """Where a reader begins."""

    async def test_passes_by_what_was_there(self, database: Database) -> None:
        """What was committed before is not told; what comes is."""
        await commit(database, 1, 2)
        tail = await at_end(database)
        await commit(database, 3)
        assert told(await tail.advance()) == [3]

    async def test_begins_at_nought_in_an_empty_log(self, database: Database) -> None:
        """Nothing has happened yet."""
        tail = await at_end(database)
        assert tail.position == 0
        assert await tail.bounds() == LogBounds(None, None)
        assert await tail.advance() == []

    async def test_waits_for_a_transaction_that_may_commit_before_the_end(self, database: Database) -> None:
        """Position 1 is taken and open, 2 is committed: the end is not known before 1 is."""
        tail = EventTail(database)
        async with database.transaction() as slow:
            await write(slow, 1)
            await commit(database, 2)
            assert not await tail.seek_end()
            assert tail.position is None
        while not await tail.seek_end():
            pass
        assert tail.position == 2

    async def test_must_come_first(self, database: Database) -> None:
        """A reader that stands nowhere cannot go on."""
        with pytest.raises(RuntimeError, match="seek_end"):
            await EventTail(database).advance()


class TestAdvance:
    """Going on."""

    async def test_tells_each_event_once(self, database: Database) -> None:
        """A second look tells nothing again."""
        tail = await at_end(database)
        await commit(database, 1, 2)
        assert told(await tail.advance()) == [1, 2]
        assert await tail.advance() == []
        await commit(database, 3)
        assert told(await tail.advance()) == [3]

    async def test_reads_in_batches(self, database: Database) -> None:
        """A look is bounded, and loses nothing at its bounds."""
        tail = await at_end(database, batch=2)
        await commit(database, 1, 2, 3, 4, 5)
        assert [told(await tail.advance()) for _ in range(3)] == [[1, 2], [3, 4], [5]]

    async def test_waits_at_a_hole_that_may_be_filled(self, database: Database) -> None:
        """A smaller position that commits later is told first, however old the later one's transaction is.

        The second transaction has its id before the first, and takes its position after it: whoever goes by ids alone
        passes the hole.
        """
        tail = await at_end(database)
        async with database.sessions() as late, database.sessions() as early:
            await early.execute(text("SELECT pg_current_xact_id()"))
            await late.execute(text("SELECT pg_current_xact_id()"))
            await write(late, 1)
            await write(early, 2)
            await early.commit()
            assert await tail.advance() == []
            assert tail.waiting
            await late.commit()
        assert told(await tail.advance()) == [1, 2]
        assert not tail.waiting

    async def test_passes_a_hole_that_stays_one(self, database: Database) -> None:
        """A rolled back position holds nobody up."""
        tail = await at_end(database)
        async with database.session() as session:
            await write(session, 1, 2, 3)
            await session.rollback()
        await commit(database, 4)
        assert told(await rest(tail)) == [4]

    async def test_is_not_held_up_by_transactions_that_begin_later(self, database: Database) -> None:
        """What began after a hole was seen cannot fill it."""
        tail = await at_end(database)
        async with database.sessions() as open_one:
            await write(open_one, 1)
            await commit(database, 2)
            assert await tail.advance() == []
            async with database.sessions() as later:
                await write(later, 3)
                await open_one.rollback()
                assert told(await rest(tail)) == [2]
                await later.commit()
        assert told(await rest(tail)) == [3]

    async def test_is_not_held_up_by_an_open_transaction_without_a_hole(self, database: Database) -> None:
        """A long transaction that has written no event yet delays nobody."""
        tail = await at_end(database)
        async with database.sessions() as long:
            await long.execute(text("SELECT pg_current_xact_id()"))
            await commit(database, 1)
            assert told(await tail.advance()) == [1]

    async def test_tells_all_in_order_under_concurrency(self, database: Database) -> None:
        """Six writers with ids taken early, positions late, some rolled back; a reader that never rests."""
        tail = await at_end(database, batch=7)
        kept: list[int] = []

        async def writer(first: int) -> None:
            chance = Random(first)
            for number in range(first, first + 40):
                async with database.sessions() as session:
                    await session.execute(text("SELECT pg_current_xact_id()"))
                    for _ in range(chance.randrange(4)):
                        await asyncio.sleep(0)
                    await write(session, number)
                    if chance.random() < 0.2:
                        await session.rollback()
                    else:
                        await session.commit()
                        kept.append(number)

        got: list[RecordedEvent] = []
        writing = asyncio.gather(*(writer(first) for first in range(0, 600, 100)))
        while not writing.done():
            got += await tail.advance()
        await writing
        got += await rest(tail)
        positions = [one.position for one in got]
        assert positions == sorted(set(positions))
        assert sorted(told(got)) == sorted(kept)


class TestBetween:
    """What a client has missed."""

    async def test_gives_what_lies_between(self, database: Database) -> None:
        """Above the first position, up to the last, no more than asked for."""
        tail = await at_end(database)
        await commit(database, 1, 2, 3, 4)
        await tail.advance()
        assert told(await tail.between(1, 3, limit=10)) == [2, 3]
        assert told(await tail.between(0, 4, limit=2)) == [1, 2]
        assert await tail.bounds() == LogBounds(1, 4)
