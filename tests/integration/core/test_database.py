"""The engine on a real server: URLs, pool, types and fresh reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from asyncpg import Connection
from sqlalchemy import MetaData, func, select, text, update
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.errors import ConfigurationError
from app.core.ids import new_id
from app.core.orm import Base, Json, StrEnumType, UnusableValueError

pytestmark = pytest.mark.integration


def _with_query(url: str, query: str) -> str:
    """The URL with more parameters; the embedded server's has some already."""
    return f"{url}{'&' if '?' in url else '?'}{query}"


class Status(StrEnum):
    """How a run of the tests stands."""

    PENDING = "pending"
    COMPLETED = "completed"


class Scratch(Base):
    """A base with metadata of the tests' own, so that the application's stays as it is."""

    __abstract__ = True
    metadata = MetaData()


class Run(Scratch):
    """Something with every kind of column."""

    __tablename__ = "runs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    number: Mapped[int] = mapped_column(server_default=text("0"))
    status: Mapped[Status] = mapped_column(StrEnumType(Status), default=Status.PENDING)
    seen_at: Mapped[datetime | None]
    data: Mapped[dict[str, Any] | None] = mapped_column(Json)


@pytest.fixture
async def runs(database: Database) -> AsyncGenerator[Database]:
    """The database with an empty table of runs."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Scratch.metadata.create_all)
    yield database
    async with database.engine.begin() as connection:
        await connection.run_sync(Scratch.metadata.drop_all)


async def _scalar(database: Database, statement: str) -> Any:
    async with database.session() as session:
        return await session.scalar(text(statement))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the driver tells nobody of a closed socket
            await asyncio.sleep(0.001)


class TestDatabase:
    """Connecting."""

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
    async def test_takes_each_spelling_of_the_scheme(
        self, database_url: str, settings: DatabaseSettings, scheme: str
    ) -> None:
        """All three are the same database."""
        database = Database(urlsplit(database_url)._replace(scheme=scheme).geturl(), settings)
        assert await _scalar(database, "SELECT current_database()") == urlsplit(database_url).path[1:]
        await database.dispose()

    @pytest.mark.parametrize("url", ["sqlite:///x", "mysql://host/db", "", "host/db"])
    def test_refuses_other_databases(self, settings: DatabaseSettings, url: str) -> None:
        """TDS runs on PostgreSQL only, and says so."""
        with pytest.raises(ConfigurationError, match="postgresql://"):
            Database(url, settings)

    async def test_takes_parameters_of_libpq(self, database_url: str, settings: DatabaseSettings) -> None:
        """Those that asyncpg knows, those that it does not, and settings for the server."""
        query = "sslmode=prefer&connect_timeout=5&channel_binding=prefer&gssencmode=disable&search_path=pg_catalog"
        database = Database(_with_query(database_url, query), settings)
        assert await _scalar(database, "SHOW search_path") == "pg_catalog"
        await database.dispose()

    async def test_obeys_sslmode(self, database_url: str, settings: DatabaseSettings) -> None:
        """``sslmode`` decides whether the connection is encrypted."""
        database = Database(_with_query(database_url, "sslmode=disable"), settings)
        encrypted = await _scalar(database, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert encrypted is False
        await database.dispose()

    async def test_connects_through_a_socket_folder(
        self, database: Database, database_url: str, settings: DatabaseSettings
    ) -> None:
        """``?host=/folder`` names the server's socket, as the embedded server does."""
        folder = str(await _scalar(database, "SHOW unix_socket_directories")).split(",")[0].strip()
        port, parts = await _scalar(database, "SHOW port"), urlsplit(database_url)
        user = parts.username or "postgres"
        other = Database(f"postgresql://{user}@{parts.path}?host={folder}&port={port}", settings)
        assert await _scalar(other, "SELECT inet_server_addr() IS NULL") is True
        await other.dispose()

    def test_says_which_parameter_is_wrong(self, settings: DatabaseSettings) -> None:
        """A limit that is no number is told by name."""
        with pytest.raises(ConfigurationError, match="connect_timeout"):
            Database("postgresql://h/d?connect_timeout=soon", settings)

    async def test_names_itself_and_switches_jit_off(self, database: Database) -> None:
        """The server shows whose connection it is; short queries are not compiled."""
        assert await _scalar(database, "SHOW application_name") == "tds"
        assert await _scalar(database, "SHOW jit") == "off"

    async def test_leaves_no_statement_behind_for_pgbouncer(self, database_url: str) -> None:
        """Without a statement cache, no prepared statement outlives its transaction, and ``jit`` is not sent."""
        database = Database(database_url, DatabaseSettings(statement_cache=0, pool_size=1))
        async with database.session() as session:
            for number in range(3):
                await session.scalar(select(func.abs(number)))
                await session.commit()
            names = await session.scalars(text("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%abs%'"))
            assert [name for name in names if "abs" in name] == []
        count = await _scalar(database, "SELECT count(*) FROM pg_prepared_statements")
        assert count <= 1
        assert await _scalar(database, "SELECT source FROM pg_settings WHERE name = 'jit'") != "client"
        await database.dispose()

    async def test_keeps_statements_otherwise(self, database: Database) -> None:
        """With a cache, a statement is prepared once and kept: this is what the test above would see."""
        async with database.session() as session:
            await session.scalar(select(func.abs(1)))
            await session.commit()
            kept = await session.scalar(text("SELECT count(*) FROM pg_prepared_statements WHERE statement ~ 'abs'"))
        assert kept

    async def test_never_opens_more_than_its_pool(self, database_url: str) -> None:
        """The pool's size is a limit; who waits too long is told."""
        database = Database(database_url, DatabaseSettings(pool_size=1, pool_timeout=0.05))
        async with database.session() as first:
            await first.execute(text("SELECT 1"))
            with pytest.raises(PoolTimeoutError):
                await _scalar(database, "SELECT 1")
        await database.dispose()

    async def test_replaces_connections_that_the_server_closed(self, database: Database, database_url: str) -> None:
        """After a restart of the server nobody is handed a dead connection, though none is pinged."""
        victim = Database(database_url, DatabaseSettings(pool_size=1))
        async with victim.engine.connect() as connection:
            driver: Connection[Any] = (await connection.get_raw_connection()).driver_connection  # pyright: ignore[reportAssignmentType] - asyncpg is the driver
            pid = await connection.scalar(select(func.pg_backend_pid()))
        await _scalar(database, f"SELECT pg_terminate_backend({pid})")
        await _until(driver.is_closed)
        assert await _scalar(victim, "SELECT pg_backend_pid()") != pid
        await victim.dispose()


class TestTransaction:
    """The context manager that commits."""

    async def test_commits_at_its_end(self, runs: Database) -> None:
        """What was added is there for others, and its attributes stay loaded."""
        async with runs.transaction() as session:
            run = Run(number=7)
            session.add(run)
        assert run.number == 7
        assert await _scalar(runs, "SELECT number FROM runs") == 7

    async def test_rolls_back_on_an_error(self, runs: Database) -> None:
        """Nothing of a failed block stays."""

        async def fail() -> None:
            async with runs.transaction() as session:
                session.add(Run())
                await session.flush()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await _scalar(runs, "SELECT count(*) FROM runs") == 0


class TestSession:
    """The session that its user commits."""

    async def test_rolls_back_what_was_not_committed(self, runs: Database) -> None:
        """Leaving it is no commit."""
        async with runs.session() as session:
            session.add(Run())
            await session.flush()
        assert await _scalar(runs, "SELECT count(*) FROM runs") == 0

    async def test_keeps_values_in_their_types(self, runs: Database) -> None:
        """Times come back aware in UTC, ids as UUIDs, enums as members, money in JSON as a string."""
        identifier = new_id()
        async with runs.transaction() as session:
            session.add(
                Run(
                    id=str(identifier),
                    seen_at=datetime(2025, 1, 2),  # noqa: DTZ001 - a naive time is UTC
                    status="completed",
                    data={"price": Decimal("1.10"), "id": identifier},
                )
            )
        async with runs.session() as session:
            await session.execute(text("SET LOCAL TimeZone = 'Asia/Baghdad'"))
            run = (await session.scalars(select(Run))).one()
        assert run.id == identifier
        assert run.status is Status.COMPLETED
        assert run.seen_at == datetime(2025, 1, 2, tzinfo=UTC)
        assert run.seen_at is not None
        assert run.seen_at.tzinfo is UTC
        assert run.data == {"price": "1.10", "id": str(identifier)}

    async def test_inserts_many_with_text_ids(self, runs: Database) -> None:
        """A flush of several rows that reads back server defaults works with ids as text."""
        async with runs.transaction() as session:
            session.add_all([Run(id=str(new_id())) for _ in range(3)])
            await session.flush()
        assert await _scalar(runs, "SELECT count(*) FROM runs") == 3

    async def test_reads_the_same_before_and_after_the_flush(self, runs: Database) -> None:
        """An id given as text, a naive time and an enum's value are what they stand for as soon as they are set."""
        run = Run(id=str(new_id()), seen_at=datetime(2025, 1, 2), status="completed")  # noqa: DTZ001 - naive is UTC
        before = (run.id, run.seen_at, run.status)
        assert [type(value) for value in before] == [UUID, datetime, Status]
        async with runs.transaction() as session:
            session.add(run)
            await session.flush()
            await session.refresh(run)
        assert (run.id, run.seen_at, run.status) == before

    def test_refuses_unusable_values_when_they_are_set(self) -> None:
        """The line that is wrong is the line that fails."""
        with pytest.raises(UnusableValueError):
            Run(id="42")
        with pytest.raises(UnusableValueError):
            Run(status="sideways")
        with pytest.raises(UnusableValueError):
            Run(seen_at="yesterday")

    async def test_stores_none_as_null(self, runs: Database) -> None:
        """No JSON is SQL's NULL, not the JSON value null."""
        async with runs.transaction() as session:
            session.add(Run(data=None))
        assert await _scalar(runs, "SELECT data IS NULL FROM runs") is True

    async def test_finds_by_the_text_of_an_id(self, runs: Database) -> None:
        """A column of ids can be compared with the text of one, and fetched by it."""
        async with runs.transaction() as session:
            run = Run()
            session.add(run)
        async with runs.session() as session:
            found = await session.scalar(select(Run).where(Run.id == str(run.id)))
            assert found is not None
            assert await session.get(Run, str(run.id)) is found

    async def test_refuses_a_text_that_is_no_id(self, runs: Database) -> None:
        """It is invalid input (422), and the transaction is none the worse."""
        async with runs.session() as session:
            with pytest.raises(UnusableValueError, match="'42' is not a UUID"):
                await session.scalar(select(Run).where(Run.id == "42"))
            assert await session.scalar(select(func.count()).select_from(Run)) == 0


class TestFreshReads:
    """A session that selects a row again sees what others have made of it."""

    async def test_a_poller_sees_each_change(self, runs: Database) -> None:
        """The specification's ``monitor_sync_run``: one session, the same select, until the run is completed."""
        async with runs.transaction() as session:
            run = Run()
            session.add(run)
        seen: list[tuple[Status, int]] = []
        async with runs.session() as poller:
            while len(seen) < 5 and (not seen or seen[-1][0] is not Status.COMPLETED):
                result = await poller.execute(select(Run).where(Run.id == str(run.id)))
                polled = result.scalar_one()
                seen.append((polled.status, polled.number))
                await self._advance(runs, run.id, len(seen))
        assert seen == [(Status.PENDING, 0), (Status.PENDING, 1), (Status.COMPLETED, 2)]

    @staticmethod
    async def _advance(runs: Database, identifier: UUID, number: int) -> None:
        status = Status.COMPLETED if number == 2 else Status.PENDING
        async with runs.transaction() as session:
            await session.execute(update(Run).where(Run.id == identifier).values(number=number, status=status))

    async def test_keeps_unflushed_changes(self, runs: Database) -> None:
        """A change made but not yet flushed is written first, not overwritten by the select."""
        async with runs.transaction() as session:
            session.add(Run(number=1))
        async with runs.transaction() as session:
            run = (await session.scalars(select(Run))).one()
            run.number = 2
            assert (await session.scalars(select(Run))).one().number == 2
        assert await _scalar(runs, "SELECT number FROM runs") == 2

    async def test_keeps_changes_where_autoflush_is_off(self, runs: Database) -> None:
        """Where nothing may be flushed, a select leaves the objects as they are."""
        async with runs.transaction() as session:
            session.add(Run(number=1))
        async with runs.transaction() as session:
            run = (await session.scalars(select(Run))).one()
            run.number = 2
            with session.no_autoflush:
                assert (await session.scalars(select(Run))).one().number == 2
            unflushed = select(Run).execution_options(autoflush=False)
            assert (await session.scalars(unflushed)).one().number == 2
        assert await _scalar(runs, "SELECT number FROM runs") == 2

    async def test_can_be_switched_off_for_a_statement(self, runs: Database) -> None:
        """Who wants the object as it was loaded says so."""
        async with runs.transaction() as session:
            session.add(Run(number=1))
        async with runs.session() as session:
            run = (await session.scalars(select(Run))).one()
            await self._advance(runs, run.id, 5)
            await session.scalars(select(Run).execution_options(populate_existing=False))
            assert run.number == 1

    async def test_leaves_other_sessions_alone(self, runs: Database) -> None:
        """Only sessions of our factory refresh: a plain one shows the first state, which is what we guard against."""
        async with runs.transaction() as session:
            session.add(Run(number=1))
        async with AsyncSession(runs.engine) as plain:
            run = (await plain.scalars(select(Run))).one()
            await self._advance(runs, run.id, 5)
            assert (await plain.scalars(select(Run))).one().number == 1
