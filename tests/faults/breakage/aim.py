"""Meeting a worker at a chosen moment: with items that it holds in no transaction yet, or just before a commit."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import asyncpg

from tests.faults.cluster import Node
from tests.faults.faults import Scene
from tests.faults.postgres import Connection

__all__ = ["catch_in_transaction", "catch_with_items", "until_applying"]

_SECONDS: Final = 3.0
_AGAIN_SECONDS: Final = 0.05
_BUSY: Final = "SELECT EXISTS (SELECT FROM tds_sync_queue WHERE status = 'processing' AND starts_with(locked_by, $1))"
_APPLYING: Final = """
    SELECT EXISTS (SELECT FROM tds_sync_queue
                   WHERE status = 'processing' AND starts_with(locked_by, $1) AND run_id IS NULL)
"""
_CLAIMED: Final = """
    SELECT id FROM tds_sync_queue WHERE status = 'processing' AND starts_with(locked_by, $1) FOR UPDATE SKIP LOCKED
"""
_TAKING: Final = """
    SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity AS backend USING (pid)
                   WHERE relation = CAST('tds_inbox_events' AS regclass) AND mode = 'RowExclusiveLock'
                     AND backend.backend_xid IS NOT NULL AND starts_with(backend.application_name, $1))
"""
"""It has written what became of events, and not yet committed it."""


def _prefix(node: Node) -> str:
    """What the names of this process's workers begin with."""
    return f"{socket.gethostname()}-{node.pid}-"


async def _until(connection: Connection, condition: str, node: Node, deadline: float) -> bool:
    while time.monotonic() < deadline:
        if await connection.fetchval(condition, _prefix(node)):
            return True
    return False


async def until_applying(scene: Scene, node: Node) -> None:
    """Wait until the worker is busy with webhooks (what a run reads changes little), and a moment of chance.

    Another fault of the round may take the server away meanwhile: then it is asked anew.
    """
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            async with scene.postgres.connection() as connection:
                await _until(connection, _APPLYING, node, deadline)
                break
        await asyncio.sleep(_AGAIN_SECONDS)
    await asyncio.sleep(scene.rng.uniform(0, 0.06))


async def catch_with_items(scene: Scene, node: Node, stop: Callable[[], None], go: Callable[[], None]) -> int:
    """Stop a worker, and let it go again, until it is caught in that moment; how many items it then has.

    After some seconds it stays stopped wherever it is.
    """
    deadline = time.monotonic() + _SECONDS
    async with scene.postgres.connection() as connection:
        while await _until(connection, _BUSY, node, deadline):
            await asyncio.sleep(scene.rng.uniform(0, 0.003))
            stop()
            if claimed := await connection.fetch(_CLAIMED, _prefix(node)):
                return len(claimed)
            go()
    stop()
    return 0


async def catch_in_transaction(scene: Scene, node: Node, stop: Callable[[], None], go: Callable[[], None]) -> bool:
    """Stop a worker, and let it go again, until it is caught before the commit of what it took from the inbox.

    After some seconds it stays stopped wherever it is, and False is returned.
    """
    deadline = time.monotonic() + _SECONDS
    async with scene.postgres.connection() as connection:
        while time.monotonic() < deadline:
            stop()
            if await connection.fetchval(_TAKING, f"tds-{node.name}"):
                return True
            go()
            await asyncio.sleep(scene.rng.uniform(0, 0.005))
    stop()
    return False
