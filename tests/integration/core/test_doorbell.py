"""Bells between processes: here two doorbells, each with connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.doorbell import Doorbell

pytestmark = pytest.mark.integration


@asynccontextmanager
async def listening(database: Database) -> AsyncGenerator[Doorbell]:
    """A doorbell that hears what others ring."""
    bell = Doorbell(database)
    task = asyncio.create_task(bell.listen())
    await _until(lambda: asyncio.sleep(0, bell.listening))
    try:
        yield bell
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bell.close()


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - it is another task that is waited for
            await asyncio.sleep(0.01)


@pytest.fixture
async def other(database_url: str) -> AsyncGenerator[Database]:
    """The same database, as another process has it."""
    database = Database(database_url, DatabaseSettings(pool_size=2))
    yield database
    await database.dispose()


class TestDoorbell:
    """Rings."""

    @pytest.mark.parametrize("listens_itself", [True, False])
    async def test_is_heard_by_others(self, database: Database, other: Database, *, listens_itself: bool) -> None:
        """Sent by the line that listens, or by a connection of the pool."""
        async with listening(other) as far:
            heard = far.subscribe("queue")
            heard.clear()
            if listens_itself:
                async with listening(database) as near:
                    near.ring("queue")
                    await asyncio.wait_for(heard.wait(), 20)
            else:
                near = Doorbell(database)
                near.ring("queue")
                await asyncio.wait_for(heard.wait(), 20)
                await near.close()

    async def test_the_last_ring_is_heard_too(self, database: Database, other: Database) -> None:
        """What is rung in the pause after a ring is sent at its end: somebody may have looked in between."""
        async with listening(other) as far:
            heard, near = far.subscribe("queue"), Doorbell(database)
            heard.clear()
            near.ring("queue", pause=0.2)
            await asyncio.wait_for(heard.wait(), 20)
            heard.clear()
            near.ring("queue", pause=0.2)
            await asyncio.wait_for(heard.wait(), 20)
            await near.close()

    async def test_wakes_those_here_once(self, database: Database) -> None:
        """At once, and not again when the server tells this process of its own ring."""
        async with listening(database) as bell:
            heard, others = bell.subscribe("queue"), bell.subscribe("inbox")
            heard.clear()
            bell.ring("queue", pause=0)
            assert heard.is_set()
            heard.clear()
            await bell.close()
            others.clear()
            async with database.transaction() as session:  # heard after whatever the server tells of the ring
                await session.execute(text("SELECT pg_notify('tds_work', 'inbox')"))
            await asyncio.wait_for(others.wait(), 20)
            assert not heard.is_set()

    async def test_goes_on_when_its_line_is_cut(self, database: Database, other: Database) -> None:
        """A ring is lost at worst; the next ones are heard."""
        async with listening(other) as far, listening(database) as near:
            heard = far.subscribe("queue")
            async with database.transaction() as session:
                await session.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
                )

            async def rung() -> bool:
                near.ring("queue")
                return far.listening and near.listening and heard.is_set()

            await _until(lambda: asyncio.sleep(0, not (far.listening and near.listening)))
            heard.clear()
            await _until(rung)
