"""Who commits: ``join_or_begin`` inside and outside of a caller's transaction."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import MetaData, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Database, join_or_begin
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
    word: Mapped[str] = mapped_column(unique=True)


@pytest.fixture
async def notes(database: Database) -> AsyncGenerator[Database]:
    """The database with an empty table of notes."""
    async with database.engine.begin() as connection:
        await connection.run_sync(Scratch.metadata.create_all)
    yield database
    async with database.engine.begin() as connection:
        await connection.run_sync(Scratch.metadata.drop_all)


async def stored(database: Database) -> list[str]:
    """The words that everybody can see."""
    async with database.session() as session:
        return list(await session.scalars(select(Note.word).order_by(Note.word)))


async def add(session: AsyncSession, word: str) -> Note:
    """A service: adds a word in the caller's transaction or in its own."""
    async with join_or_begin(session):
        note = Note(word=word)
        session.add(note)
    return note


async def add_and_fail(session: AsyncSession, word: str) -> None:
    """A service that fails after its write."""
    async with join_or_begin(session):
        session.add(Note(word=word))
        await session.flush()
        raise ZeroDivisionError


class TestOwnTransaction:
    """Called with a session that is in no transaction."""

    async def test_commits_each_call(self, notes: Database) -> None:
        """The call's work is there for others when it returns, and no transaction stays open."""
        async with notes.session() as session:
            note = await add(session, "one")
            assert not session.in_transaction()
            assert await stored(notes) == ["one"]
            assert note.id > 0

    async def test_rolls_back_on_an_error(self, notes: Database) -> None:
        """The error comes through, nothing is written, and the session can be used on."""
        async with notes.session() as session:
            with pytest.raises(ZeroDivisionError):
                await add_and_fail(session, "lost")
            assert not session.in_transaction()
            await add(session, "kept")
        assert await stored(notes) == ["kept"]

    async def test_leaves_no_transaction_after_a_read(self, notes: Database) -> None:
        """A read gives its connection back."""
        async with notes.session() as session:
            async with join_or_begin(session):
                assert await session.scalar(select(func.count()).select_from(Note)) == 0
            assert not session.in_transaction()

    async def test_keeps_attributes_loaded_in_an_expiring_session(self, notes: Database) -> None:
        """The caller's session may expire on commit: objects are still readable after our commit, not after his."""
        async with AsyncSession(notes.engine, expire_on_commit=True) as session:
            note = await add(session, "one")
            assert note.word == "one"
            assert session.sync_session.expire_on_commit is True
            await session.commit()

    async def test_restores_expiry_after_an_error(self, notes: Database) -> None:
        """A failed call leaves the session as configured too."""
        async with AsyncSession(notes.engine, expire_on_commit=True) as session:
            with pytest.raises(ZeroDivisionError):
                await add_and_fail(session, "lost")
            assert session.sync_session.expire_on_commit is True

    async def test_nested_calls_are_one_transaction(self, notes: Database) -> None:
        """A service that calls another is committed with it, or not at all."""

        async def outer(session: AsyncSession) -> None:
            async with join_or_begin(session):
                await add(session, "inner")
                assert session.in_transaction()
                assert await stored(notes) == []
                raise ZeroDivisionError

        async with notes.session() as session:
            with pytest.raises(ZeroDivisionError):
                await outer(session)
        assert await stored(notes) == []


class TestJoined:
    """Called inside the caller's transaction."""

    async def test_leaves_the_commit_to_the_caller(self, notes: Database) -> None:
        """Nobody sees the work before the caller commits, and everybody after."""
        async with notes.session() as session:
            async with session.begin():
                note = await add(session, "one")
                assert note.id > 0
                assert session.in_transaction()
                assert await stored(notes) == []
            assert await stored(notes) == ["one"]

    async def test_goes_with_the_callers_rollback(self, notes: Database) -> None:
        """What the caller takes back is taken back whole."""
        async with notes.session() as session:
            await session.begin()
            await add(session, "one")
            await session.rollback()
        assert await stored(notes) == []

    async def test_joins_a_transaction_begun_by_a_read(self, notes: Database) -> None:
        """SQLAlchemy begins with the first statement: that transaction is the caller's too."""
        async with notes.session() as session:
            await session.execute(select(Note))
            await add(session, "one")
            assert await stored(notes) == []
            await session.commit()
        assert await stored(notes) == ["one"]

    async def test_tells_of_errors_where_they_arise(self, notes: Database) -> None:
        """Changes are flushed at the end of the call, so a violated rule is that call's error."""
        async with notes.session() as session:
            await session.begin()
            await add(session, "one")
            with pytest.raises(IntegrityError):
                await add(session, "one")

    async def test_leaves_the_transaction_to_the_caller_after_an_error(self, notes: Database) -> None:
        """The caller decides what a failed call means: here a savepoint gives up that call alone."""
        async with notes.session() as session, session.begin():
            await add(session, "kept")
            with pytest.raises(ZeroDivisionError):
                await self._in_savepoint(session)
            await add(session, "also")
        assert await stored(notes) == ["also", "kept"]

    @staticmethod
    async def _in_savepoint(session: AsyncSession) -> None:
        async with session.begin_nested():
            await add_and_fail(session, "lost")

    async def test_works_on_a_session_bound_to_a_connection(self, notes: Database) -> None:
        """A test's own rollback around everything holds what a service commits."""
        async with notes.engine.connect() as connection:
            outer = await connection.begin()
            async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session:
                await add(session, "one")
                assert await session.scalar(text("SELECT count(*) FROM notes")) == 1
            await outer.rollback()
        assert await stored(notes) == []
