"""Epochs: raised with the commit, never without it, and read by many at the cost of a few."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event, text

from app.core.database import Database, join_or_begin
from app.core.epochs import ACCESS, INSTALLATION, VIEWS, EpochReader, raise_epoch


class TestRaising:
    """What an action does."""

    async def test_shows_with_the_commit(self, database: Database) -> None:
        """Before it, others still see the old epoch."""
        reader = EpochReader(database)
        async with database.transaction() as session:
            raise_epoch(session, VIEWS)
            await session.execute(text("SELECT 1"))
            assert VIEWS not in await reader.current()
        assert (await reader.current())[VIEWS] == 1

    async def test_happens_once_a_transaction_for_each_family(self, database: Database) -> None:
        """However often it is asked for."""
        async with database.transaction() as session:
            for name in (VIEWS, ACCESS, VIEWS):
                raise_epoch(session, name)
        epochs = await EpochReader(database).current()
        assert (epochs[VIEWS], epochs[ACCESS]) == (1, 1)

    async def test_goes_with_a_rollback(self, database: Database) -> None:
        """And the session's next transaction does not bring it back."""
        async with database.session() as session:
            await session.begin()
            raise_epoch(session, VIEWS)
            await session.rollback()
            async with session.begin():
                await session.execute(text("SELECT 1"))
        assert VIEWS not in await EpochReader(database).current()

    async def test_survives_a_savepoint_that_is_undone(self, database: Database) -> None:
        """What was raised outside of it holds."""
        async with database.transaction() as session:
            raise_epoch(session, VIEWS)
            with pytest.raises(RuntimeError, match="undone"):
                async with session.begin_nested():
                    raise RuntimeError("undone")
        assert (await EpochReader(database).current())[VIEWS] == 1

    async def test_waits_for_the_end_where_a_savepoint_is_released(self, database: Database) -> None:
        """The row lock is taken by the commit, not by the savepoint."""
        async with database.transaction() as outer, database.transaction() as other:
            async with outer.begin_nested():
                raise_epoch(outer, VIEWS)
            await other.execute(text("SET LOCAL lock_timeout = '2s'"))
            raise_epoch(other, VIEWS)
            await other.commit()
        assert (await EpochReader(database).current())[VIEWS] == 2

    async def test_works_in_a_transaction_of_a_service(self, database: Database) -> None:
        """Services use `join_or_begin`."""
        async with database.session() as session, join_or_begin(session):
            raise_epoch(session, VIEWS)
        assert (await EpochReader(database).current())[VIEWS] == 1


class TestReading:
    """What a cached answer asks for."""

    async def test_many_share_few_statements(self, database: Database) -> None:
        """A thousand questions at once are two statements at most."""
        seen: list[str] = []

        def count(*arguments: object) -> None:
            seen.append(str(arguments[2]))

        reader = EpochReader(database)
        event.listen(database.engine.sync_engine, "before_cursor_execute", count)
        try:
            answers = await asyncio.gather(*(reader.current() for _ in range(1_000)))
        finally:
            event.remove(database.engine.sync_engine, "before_cursor_execute", count)
        assert len({answer[INSTALLATION] for answer in answers}) == 1
        assert len(seen) <= 2

    async def test_an_answer_is_never_older_than_its_question(self, database: Database) -> None:
        """Whoever asks after a commit sees it, whatever read is under way."""
        reader = EpochReader(database)
        for wanted in range(1, 30):
            under_way = asyncio.ensure_future(reader.current())
            await asyncio.sleep(0)
            async with database.transaction() as session:
                raise_epoch(session, VIEWS)
            assert (await reader.current())[VIEWS] == wanted
            await under_way

    async def test_a_cancelled_asker_leaves_the_others_theirs(self, database: Database) -> None:
        """The read that is shared goes on."""
        reader = EpochReader(database)
        first, second = (asyncio.ensure_future(reader.current()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert INSTALLATION in await second

    async def test_a_connection_that_was_cut_is_replaced(self, database: Database) -> None:
        """Nobody is told of it."""
        reader = EpochReader(database)
        await reader.current()
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        async with database.unpooled.connect() as connection:
            await connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        assert INSTALLATION in await reader.current()
