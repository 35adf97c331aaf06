"""The database of the process, and the FastAPI dependency that gives an endpoint its session."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import MetaData, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from structlog.testing import capture_logs

from app.core.database import Database, configure, default_database, get_async_db, join_or_begin
from app.core.errors import ConfigurationError
from app.core.orm import Base

pytestmark = pytest.mark.integration


class Scratch(Base):
    """A base with metadata of the tests' own, so that the application's stays as it is."""

    __abstract__ = True
    metadata = MetaData()


class Note(Scratch):
    """A row."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str]


@pytest.fixture
async def notes(database: Database) -> AsyncGenerator[Database]:
    """The database with an empty table of notes."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Scratch.metadata.create_all)
    yield database
    async with database.engine.begin() as connection:
        await connection.run_sync(Scratch.metadata.drop_all)


@pytest.fixture
def configured(notes: Database) -> Generator[Database]:
    """The database as the default one of the process."""
    configure(notes)
    yield notes
    configure(None)


async def scalar(database: Database, statement: str) -> Any:
    """One value, as everybody sees it."""
    async with database.session() as session:
        return await session.scalar(text(statement))


class TestDefaultDatabase:
    """The database of the process."""

    def test_says_what_to_do_when_there_is_none(self) -> None:
        """The message names the call that is missing."""
        configure(None)
        with pytest.raises(ConfigurationError, match="configure"):
            default_database()

    def test_is_the_one_configured(self, configured: Database) -> None:
        """What was given is what is used."""
        assert default_database() is configured


class TestGetAsyncDb:
    """The FastAPI dependency."""

    async def test_gives_an_endpoint_its_session(self, configured: Database) -> None:
        """``db: AsyncSession = Depends(get_async_db)``, as the specification writes it."""
        app = FastAPI()

        @app.post("/notes")
        async def add(db: Annotated[AsyncSession, Depends(get_async_db)]) -> dict[str, int]:
            db.add(Note(word="three"))
            await db.commit()
            return {"notes": await db.scalar(select(func.count()).select_from(Note)) or 0}

        async with AsyncClient(transport=ASGITransport(app), base_url="http://tds") as client:
            reply = await client.post("/notes")
        assert reply.json() == {"notes": 1}
        assert await scalar(configured, "SELECT word FROM notes") == "three"

    async def test_never_commits(self, configured: Database) -> None:
        """What the endpoint did not commit is gone."""
        with capture_logs() as logs:
            await self._use(_add_without_service)
        assert await scalar(configured, "SELECT count(*) FROM notes") == 0
        assert logs == []

    async def test_warns_of_a_services_writes_left_uncommitted(self, configured: Database) -> None:
        """A service joined the endpoint's transaction, and nobody committed it: that is told."""
        with capture_logs() as logs:
            await self._use(_read_then_write)
        assert [(entry["event"], entry["log_level"]) for entry in logs] == [("session_closed_uncommitted", "warning")]
        assert await scalar(configured, "SELECT count(*) FROM notes") == 0

    async def test_does_not_warn_of_reads(self, configured: Database) -> None:
        """A service that only read in the endpoint's transaction has lost nothing."""
        del configured
        with capture_logs() as logs:
            await self._use(_read_then_read)
        assert logs == []

    async def test_does_not_warn_after_a_commit(self, configured: Database) -> None:
        """Committed is committed, also when the endpoint read on afterwards."""

        async def use(session: AsyncSession) -> None:
            await _read_then_write(session)
            await session.commit()
            await session.execute(select(Note))

        with capture_logs() as logs:
            await self._use(use)
        assert logs == []
        assert await scalar(configured, "SELECT count(*) FROM notes") == 1

    async def test_does_not_warn_of_a_failed_transaction(self, configured: Database) -> None:
        """Whoever got the database's error knows already."""
        del configured

        async def use(session: AsyncSession) -> None:
            await _read_then_write(session)
            await session.execute(text("DO $$ BEGIN RAISE 'no'; EXCEPTION WHEN others THEN NULL; END $$"))
            raw = await session.connection()
            with pytest.raises(Exception, match="division by zero"):
                await raw.execute(text("SELECT 1/0"))

        with capture_logs() as logs:
            await self._use(use)
        assert logs == []

    @staticmethod
    async def _use(endpoint: Callable[[AsyncSession], Any]) -> None:
        dependency = get_async_db()
        await endpoint(await anext(dependency))
        assert await anext(dependency, None) is None


async def _add_without_service(session: AsyncSession) -> None:
    session.add(Note(word="one"))
    await session.flush()


async def _read_then_write(session: AsyncSession) -> None:
    await session.execute(select(Note))
    async with join_or_begin(session):
        session.add(Note(word="one"))


async def _read_then_read(session: AsyncSession) -> None:
    await session.execute(select(Note))
    async with join_or_begin(session):
        await session.execute(select(Note.word))
