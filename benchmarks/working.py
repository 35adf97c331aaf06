"""Worker processes at work: started together, held until all are ready, and watched until nothing waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from asyncpg.transaction import Transaction

from app.cli.children import Child
from app.core.errors import TdsError
from app.tds.sql import statement
from benchmarks.processes import Tds
from benchmarks.server import connected

__all__ = ["Held", "LostError", "check_nothing_lost", "held_workers", "ready_workers", "wait_until_done"]

_LOOK_SECONDS: Final = 0.02
_LONGEST_SECONDS: Final = 1_800.0
_HELD_SECONDS: Final = 60.0
_HELD: Final = "LOCK TABLE tds_sync_queue IN EXCLUSIVE MODE"
_WAITING: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND starts_with(query, $1)
"""
_CLAIM: Final = statement("claim").text.partition("\n")[0]
_OPEN: Final = """
    SELECT EXISTS (SELECT 1 FROM tds_inbox_events WHERE status = 'pending')
        OR EXISTS (SELECT 1 FROM tds_sync_queue WHERE status = 'pending')
        OR EXISTS (SELECT 1 FROM tds_sync_queue WHERE status = 'processing')
        OR EXISTS (SELECT 1 FROM tds_sync_queue WHERE status = 'retry')
"""
_FINAL: Final = """
    SELECT (SELECT count(*) FROM tds_inbox_events WHERE status = 'completed') AS inbox,
           (SELECT count(*) FROM tds_sync_queue WHERE status = 'completed') AS queue,
           (SELECT count(*) FROM tds_entities WHERE local_id IS NOT NULL AND NOT deleted) AS entities,
           (SELECT count(*) FROM erp_products) AS products,
           (SELECT count(*) FROM tds_audit_trail WHERE entity_type = 'product') AS audit,
           (SELECT count(*) FROM event_log WHERE event_type = 'tds.entity.create') AS events
"""
_WRONG: Final = """
    SELECT count(*) AS letters FROM tds_dead_letter_queue
"""


class LostError(TdsError):
    """Rows are missing, or there are too many: the figures of this run mean nothing."""


@dataclass(frozen=True, slots=True)
class Held:
    """Worker processes that are about to look for work, and may not yet."""

    children: list[Child]
    watching: asyncpg.Connection[Any]
    lock: Transaction

    async def ready(self) -> None:
        """Wait until all of them wait. A wait that has lasted for a lease is broken off, and begun again soon."""
        async with asyncio.timeout(_HELD_SECONDS):
            while await self.watching.fetchval(_WAITING, _CLAIM) < len(self.children):  # noqa: ASYNC110 - it is the server that is asked
                await asyncio.sleep(_LOOK_SECONDS)

    async def begin(self) -> None:
        """Let all of them look."""
        await self.lock.rollback()


@asynccontextmanager
async def ready_workers(url: str, tds: Tds, processes: int) -> AsyncGenerator[list[Child]]:
    """So many ``tds worker`` processes, at work."""
    async with held_workers(url, tds, processes) as held:
        await held.begin()
        yield held.children


@asynccontextmanager
async def held_workers(url: str, tds: Tds, processes: int) -> AsyncGenerator[Held]:
    """So many ``tds worker`` processes, which begin all at once, whichever was ready first.

    They wait for the queue's table, which is locked; the inbox is open. So what is stored now comes in while they live,
    as in production.
    """
    async with AsyncExitStack() as stack, connected(url) as holding, connected(url) as watching:
        lock = holding.transaction()
        await lock.start()
        await holding.execute(_HELD)
        held = Held(await _start(stack, tds, processes), watching, lock)
        await held.ready()
        yield held


async def _start(stack: AsyncExitStack, tds: Tds, processes: int) -> list[Child]:
    names = [f"worker {number}" for number in range(1, processes + 1)]
    async with asyncio.TaskGroup() as group:
        starting = [
            group.create_task(stack.enter_async_context(tds.running(name, "worker", "--count", "1"))) for name in names
        ]
    return [one.result() for one in starting]


async def wait_until_done(connection: asyncpg.Connection[Any]) -> float:
    """Look every 20 ms until nothing waits or is under way; the moment (`time.perf_counter`) at which that was seen.

    Raises:
        LostError: it takes longer than half an hour.
    """
    end = time.perf_counter() + _LONGEST_SECONDS
    while await connection.fetchval(_OPEN):
        if time.perf_counter() > end:
            raise LostError(f"work is still open after {_LONGEST_SECONDS:.0f} s")
        await asyncio.sleep(_LOOK_SECONDS)
    return time.perf_counter()


async def check_nothing_lost(connection: asyncpg.Connection[Any], items: int) -> dict[str, int]:
    """The final rows by table, one of each for every item.

    Raises:
        LostError: a table has more or fewer, or something became a dead letter.
    """
    row = await connection.fetchrow(_FINAL)
    letters = await connection.fetchval(_WRONG)
    found = dict(row) if row is not None else {}
    if letters or any(count != items for count in found.values()):
        raise LostError(f"of {items} items these rows are there, with {letters} dead letters: {found}")
    return found
