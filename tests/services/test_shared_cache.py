"""The cache that processes share: a real Redis, and one that is gone. Needs the Redis of TDS_TEST_REDIS_URL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import Any, cast
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from starlette.requests import Request

from app.bff.cache import View, ViewCache
from app.bff.shelf import Shelf
from app.core.database import Database
from app.core.epochs import VIEWS, EpochReader, raise_epoch

URL = os.environ.get("TDS_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
NOBODY = "redis://127.0.0.1:1/0"


def _request() -> Request:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": []}
    return Request(scope | {"server": ("test", 80), "scheme": "http"})


class Process:
    """One process's cache on the shared shelf."""

    def __init__(self, database: Database, shelf: Shelf) -> None:
        self.cache = ViewCache(EpochReader(database), shelf)
        self.calls = 0

    async def compute(self) -> View:
        """A body of this process."""
        self.calls += 1
        await asyncio.sleep(0.01)
        return View(f'"{id(self)}"'.encode(), link='</x?cursor=1>; rel="next"')

    async def read(self) -> tuple[bytes, str]:
        """What a reader is given."""
        answer = await self.cache.respond(_request(), ttl=30, compute=self.compute)
        return bytes(answer.body), answer.headers["link"]


async def _overwrite(prefix: str, value: bytes) -> None:
    """Everything under the prefix gets this value, and a second to live."""
    redis: Redis = Redis.from_url(URL)  # pyright: ignore[reportUnknownMemberType]
    keys = cast("list[bytes]", await redis.keys(f"{prefix}*"))  # pyright: ignore[reportUnknownMemberType]
    for key in keys:
        await redis.set(key, value, ex=1)
    await redis.aclose()


@pytest.fixture
async def prefix() -> AsyncGenerator[str]:
    """A part of the Redis of the test's own, emptied at its end."""
    own = f"tds-test:{uuid4().hex}:"
    yield own
    await _overwrite(own, b"")


@pytest.fixture
async def processes(database: Database, prefix: str) -> AsyncGenerator[list[Process]]:
    """Two processes on one Redis."""
    shelves = [Shelf(URL, prefix=prefix) for _ in range(2)]
    yield [Process(database, shelf) for shelf in shelves]
    for shelf in shelves:
        await shelf.aclose()


class TestShared:
    """A Redis that works."""

    async def test_one_process_computes_for_the_other(self, processes: list[Process]) -> None:
        """Body and link come from the shelf."""
        first, second = processes
        assert await first.read() == await second.read()
        assert (first.calls, second.calls) == (1, 0)

    async def test_a_stampede_on_both_is_one_computation(self, processes: list[Process]) -> None:
        """Whoever comes second waits for the first."""
        answers = await asyncio.gather(*(process.read() for process in processes * 20))
        assert (len(set(answers)), sum(process.calls for process in processes)) == (1, 1)

    async def test_an_action_makes_both_compute_anew(self, processes: list[Process], database: Database) -> None:
        """The old answer stays on the shelf, under a key nobody looks at."""
        before = [await process.read() for process in processes]
        async with database.transaction() as session:
            raise_epoch(session, VIEWS)
        await processes[1].read()
        assert (await processes[0].read()) != before[0]

    async def test_rubbish_on_the_shelf_is_computed_over(self, processes: list[Process], prefix: str) -> None:
        """Somebody else's value is no answer."""
        await processes[0].read()
        await _overwrite(prefix, b"\xff rubbish")
        await processes[1].read()
        assert processes[1].calls == 1


class TestGone:
    """A Redis that is not there."""

    async def test_it_costs_a_computation_and_nothing_else(self, database: Database) -> None:
        """Each process computes for itself, once."""
        shelf = Shelf(NOBODY, prefix="x")
        process = Process(database, shelf)
        first = await process.read()
        assert (await process.read(), process.calls) == (first, 1)
        await shelf.aclose()
