"""Statements given straight to the driver: in the session's transaction and savepoints, with SQLAlchemy's errors."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.driver import fetch

pytestmark = pytest.mark.integration

_ADD = text("INSERT INTO numbers (id, name) VALUES (CAST(:id AS int), CAST(:name AS text)) RETURNING id, name")
_NAMES = text("SELECT name FROM numbers WHERE id < CAST(:below AS int) ORDER BY id")
_PID = text("SELECT pg_backend_pid() AS pid")


class _Base(DeclarativeBase):
    pass


class Number(_Base):
    """A row of the tests' table."""

    __tablename__ = "numbers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
async def numbers(database: Database) -> Database:
    """A database with one table."""
    async with database.transaction() as session:
        await session.execute(text("DROP TABLE IF EXISTS numbers"))
        await session.execute(text("CREATE TABLE numbers (id int PRIMARY KEY, name text CHECK (name <> 'bad'))"))
    return database


async def names(database: Database) -> list[str]:
    """What was committed."""
    async with database.transaction() as session:
        return list((await session.execute(text("SELECT name FROM numbers ORDER BY id"))).scalars())


class TestFetch:
    """One statement after the other."""

    async def test_the_rows_are_the_same_by_either_way(self, numbers: Database) -> None:
        """The first statement of a transaction goes by the session, the others do not."""
        async with numbers.transaction() as session:
            rows = [(await fetch(session, _ADD, {"id": number, "name": f"n{number}"}))[0] for number in range(3)]
            assert [(row.id, row.name, row[0], tuple(row)) for row in rows] == [
                (number, f"n{number}", number, (number, f"n{number}")) for number in range(3)
            ]
            assert type(rows[0]) is not type(rows[1])
            with pytest.raises(AttributeError, match="other"):
                _ = rows[1].other
        assert await names(numbers) == ["n0", "n1", "n2"]

    async def test_what_returns_no_rows_returns_none(self, numbers: Database) -> None:
        """By either way."""
        add = text("INSERT INTO numbers VALUES (CAST(:id AS int), 'x')")
        async with numbers.transaction() as session:
            assert [list(await fetch(session, add, {"id": number})) for number in range(2)] == [[], []]

    async def test_a_rollback_takes_it_back(self, numbers: Database) -> None:
        """It is in the session's transaction."""

        async def spoil() -> None:
            async with numbers.transaction() as session:
                await fetch(session, _ADD, {"id": 1, "name": "a"})
                await fetch(session, _ADD, {"id": 2, "name": "b"})
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await spoil()
        assert await names(numbers) == []

    async def test_a_savepoint_takes_back_its_own(self, numbers: Database) -> None:
        """Savepoints are made when they are first needed: it sees to that."""

        async def spoil(session: AsyncSession) -> None:
            async with session.begin_nested():
                await fetch(session, _ADD, {"id": 3, "name": "inside"})
                async with session.begin_nested():
                    await fetch(session, _ADD, {"id": 4, "name": "deeper"})
                await fetch(session, _ADD, {"id": 5, "name": "bad"})

        async with numbers.transaction() as session:
            await fetch(session, _ADD, {"id": 1, "name": "before"})
            await fetch(session, _ADD, {"id": 2, "name": "before too"})
            with pytest.raises(IntegrityError):
                await spoil(session)
            await fetch(session, _ADD, {"id": 6, "name": "after"})
        assert await names(numbers) == ["before", "before too", "after"]

    async def test_it_sees_what_the_session_has_yet_to_write(self, numbers: Database) -> None:
        """As a statement of the session would."""
        async with numbers.transaction() as session:
            await fetch(session, _PID, {})
            session.add(Number(id=1, name="new"))
            assert [row.name for row in await fetch(session, _NAMES, {"below": 9})] == ["new"]

    async def test_one_session_after_another_transaction(self, numbers: Database) -> None:
        """What a session used in one transaction it does not use in the next."""
        async with numbers.session() as session:
            for number in range(3):
                await fetch(session, _ADD, {"id": 2 * number, "name": f"{number}"})
                await fetch(session, _ADD, {"id": 2 * number + 1, "name": f"{number} too"})
                await (session.rollback() if number == 1 else session.commit())
        assert await names(numbers) == ["0", "0 too", "2", "2 too"]

    async def test_who_listens_to_statements_is_told_of_all(self, numbers: Database) -> None:
        """They go through the engine then."""
        sent: list[str] = []

        def note(*arguments: Any) -> None:
            sent.append(arguments[2])

        event.listen(numbers.engine.sync_engine, "before_cursor_execute", note)
        async with numbers.transaction() as session:
            for _ in range(3):
                await fetch(session, _PID, {})
        event.remove(numbers.engine.sync_engine, "before_cursor_execute", note)
        assert len(sent) == 3

    async def test_without_prepared_statements(self, numbers: Database, database_url: str) -> None:
        """As behind PgBouncer."""
        pooled = Database(database_url, DatabaseSettings(statement_cache=0, pool_size=2))
        for way in (pooled.transaction, pooled.single):
            async with way() as session:
                for number in range(3):
                    name = way.__name__
                    await fetch(session, _ADD, {"id": number + (10 if name == "single" else 0), "name": name})
        await pooled.dispose()
        assert await names(numbers) == ["transaction"] * 3 + ["single"] * 3


class TestErrors:
    """What a caller can tell of them."""

    @pytest.mark.parametrize(
        ("sql", "parameters", "kind", "state"),
        [
            ("INSERT INTO numbers VALUES (1, 'bad') RETURNING id", {}, IntegrityError, "23514"),
            ("SELECT CAST(:x AS text)::int AS n", {"x": "no number"}, DataError, "22P02"),
            ("SELECT nothing", {}, DBAPIError, "42703"),
            ("SELECT pg_terminate_backend(pg_backend_pid())", {}, OperationalError, "08003"),
            ("SELECT CAST(:x AS int)", {"x": "no number"}, DataError, "22000"),
        ],
    )
    async def test_are_those_of_sqlalchemy(
        self, numbers: Database, sql: str, parameters: dict[str, Any], kind: type[DBAPIError], state: str | None
    ) -> None:
        """Their class, their SQLSTATE, and whether the connection is gone; and the next transaction is well."""
        seen: list[DBAPIError] = []

        async def fail() -> None:
            async with numbers.transaction() as session:
                await fetch(session, _PID, {})
                with pytest.raises(kind) as caught:
                    await fetch(session, text(sql), parameters)
                seen.append(caught.value)
                raise caught.value

        with pytest.raises(DBAPIError):
            await fail()
        (error,) = seen
        assert (type(error), getattr(error.orig, "sqlstate", None)) == (kind, state)
        assert error.connection_invalidated is (kind is OperationalError)
        async with numbers.transaction() as session:
            await fetch(session, _PID, {})
            assert (await fetch(session, _PID, {}))[0].pid > 0

    async def test_of_a_closed_line_say_that_it_is_gone(self, numbers: Database) -> None:
        """So that nobody takes it for an item's fault."""

        async def fail() -> None:
            async with numbers.transaction() as session:
                await fetch(session, _PID, {})
                driver = (await (await session.connection()).get_raw_connection()).driver_connection
                assert driver is not None
                driver.terminate()
                with pytest.raises(DBAPIError) as caught:
                    await fetch(session, _PID, {})
                assert caught.value.connection_invalidated
                raise caught.value

        with pytest.raises(DBAPIError):
            await fail()
        async with numbers.transaction() as session:
            await fetch(session, _PID, {})


class TestSingle:
    """Statements that are a transaction each."""

    async def test_are_committed_when_they_return(self, numbers: Database) -> None:
        """Whatever becomes of the session."""

        async def spoil() -> None:
            async with numbers.single() as session:
                await fetch(session, _ADD, {"id": 1, "name": "a"})
                assert await names(numbers) == ["a"]
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await spoil()
        assert await names(numbers) == ["a"]

    async def test_leave_nothing_behind_on_the_connection(self, database_url: str, numbers: Database) -> None:
        """The next transaction on it is one."""
        narrow = Database(database_url, DatabaseSettings(pool_size=1))
        async with narrow.single() as session:
            (alone,) = await fetch(session, _PID, {})

        async def spoil() -> None:
            async with narrow.transaction() as session:
                assert (await fetch(session, _PID, {}))[0].pid == alone.pid
                await fetch(session, _ADD, {"id": 1, "name": "a"})
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await spoil()
        await narrow.dispose()
        assert await names(numbers) == []
