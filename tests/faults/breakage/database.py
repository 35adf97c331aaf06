"""Faults of PostgreSQL: restarted, its backends ended, no connection left, an old snapshot held."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import asyncpg

from tests.faults.faults import Scene, fault
from tests.faults.postgres import MAX_CONNECTIONS, Connection, RestartMode

__all__ = ["held_snapshot", "pool_exhaustion", "restart_fast", "restart_immediate", "terminate_backends"]

_HOLD_SECONDS: Final = 2.5


@fault("restart-fast")
async def restart_fast(scene: Scene) -> None:
    """PostgreSQL is shut down as an administrator does, and comes back."""
    await _restart(scene, "fast")


@fault("restart-immediate")
async def restart_immediate(scene: Scene) -> None:
    """PostgreSQL ends as in a power cut, and recovers from its log."""
    await _restart(scene, "immediate")


async def _restart(scene: Scene, mode: RestartMode) -> None:
    await scene.runs.request_both()
    await asyncio.sleep(scene.rng.uniform(0, 0.5))
    await scene.postgres.restart(mode)


@fault("terminate-backends")
async def terminate_backends(scene: Scene) -> None:
    """Every backend of ours is ended, several times."""
    async with scene.postgres.connection() as connection:
        for _ in range(scene.rng.randint(1, 4)):
            await scene.postgres.terminate_backends(connection)
            await asyncio.sleep(scene.rng.uniform(0.05, 0.5))


@fault("held-snapshot")
async def held_snapshot(scene: Scene) -> None:
    """A transaction that forgot to end holds its snapshot until the round is over: nothing can be vacuumed."""
    connection = await scene.until_round_end.enter_async_context(scene.postgres.connection())
    transaction = connection.transaction(isolation="repeatable_read")
    await transaction.start()
    await connection.fetchval("SELECT count(*) FROM tds_entities")
    await scene.runs.request_both()
    await asyncio.sleep(_HOLD_SECONDS)


@fault("pool-exhaustion")
async def pool_exhaustion(scene: Scene) -> None:
    """No connection is to be had: the server's last one is taken, or all of the API's wait for a lock."""
    async with scene.postgres.connection() as connection:
        if scene.rng.random() < 0.5:
            await _take_all_connections(scene, connection)
        else:
            scene.notes.append("the API's connections wait for a lock")
            async with connection.transaction():
                await connection.execute("LOCK TABLE tds_dedupe_keys IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(_HOLD_SECONDS)


async def _take_all_connections(scene: Scene, connection: Connection) -> None:
    node = scene.rng.choice([scene.cluster.server, *scene.cluster.workers])
    scene.notes.append(f"took every connection, and those of {node.name}")
    async with AsyncExitStack() as taken:
        await _fill(scene, taken)
        await scene.postgres.terminate_backends(connection, like=f"tds-{node.name}%")
        await _fill(scene, taken)
        await asyncio.sleep(_HOLD_SECONDS)


async def _fill(scene: Scene, taken: AsyncExitStack) -> None:
    """Take connections until the server refuses."""
    for _ in range(MAX_CONNECTIONS):
        try:
            await taken.enter_async_context(scene.postgres.connection())
        except asyncpg.TooManyConnectionsError:
            return
