"""Worker processes at work: started together, held until all are ready, and watched until nothing waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import asyncpg

from app.core.errors import TdsError
from benchmarks.processes import Child, Tds
from benchmarks.server import connected

__all__ = ["LostError", "check_nothing_lost", "ready_workers", "wait_until_done"]

_LOOK_SECONDS: Final = 0.02
_LONGEST_SECONDS: Final = 1_800.0
_HELD: Final = "LOCK TABLE tds_inbox_events IN EXCLUSIVE MODE"
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


@asynccontextmanager
async def ready_workers(url: str, tds: Tds, processes: int) -> AsyncGenerator[list[Child]]:
    """So many ``tds worker`` processes, all ready, and only now able to take anything from the inbox.

    They wait for a lock that is held while they start: so they begin all at once, whichever was ready first.
    """
    async with AsyncExitStack() as stack:
        async with connected(url) as connection, connection.transaction():
            await connection.execute(_HELD)
            started = await _start(stack, tds, processes)
        yield started


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
