"""Faults of our own processes: killed, frozen past the lease, with a clock that is off."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

from tests.faults.breakage.aim import catch_in_transaction, catch_with_items, until_applying
from tests.faults.cluster import LEASE_SECONDS, Node
from tests.faults.faults import Scene, fault
from tests.faults.node import SKEW_VARIABLE
from tests.faults.promises.leases import remember_finished

__all__ = ["clock_skew", "frozen_commit", "kill_server", "kill_worker", "zombie_worker"]

_START_SECONDS: Final = 3.0
_SKEWED_SECONDS: Final = 2.0


@fault("kill-worker")
async def kill_worker(scene: Scene) -> None:
    """SIGKILL to a worker or two while they have items in hand; they start again a second later."""
    await scene.runs.request_both()
    for node in scene.rng.sample(scene.cluster.workers, scene.rng.randint(1, 2)):
        await until_applying(scene, node)
        node.kill()
        scene.notes.append(f"killed {node.name}")
        await asyncio.sleep(scene.rng.uniform(0.5, 1.5))
        node.start()


@fault("zombie-worker")
async def zombie_worker(scene: Scene) -> None:
    """SIGSTOP to a worker that has claimed items and not begun them, SIGCONT when its lease has long ended."""
    node = scene.cluster.any_worker(scene.rng)
    await scene.runs.request_both()
    held = await catch_with_items(scene, node, lambda: node.signal(signal.SIGSTOP), lambda: node.signal(signal.SIGCONT))
    scene.notes.append(f"froze {node.name} with {held} items")
    await _outlive_lease(scene)
    node.signal(signal.SIGCONT)


@fault("frozen-commit")
async def frozen_commit(scene: Scene) -> None:
    """SIGSTOP to a worker that has applied what it took from the inbox and not committed it, SIGCONT long after."""
    node = scene.cluster.any_worker(scene.rng)
    await scene.runs.request_both()
    caught = await catch_in_transaction(
        scene, node, lambda: node.signal(signal.SIGSTOP), lambda: node.signal(signal.SIGCONT)
    )
    scene.notes.append(f"froze {node.name} {'before its commit' if caught else 'at leisure'}")
    await _outlive_lease(scene)
    node.signal(signal.SIGCONT)


async def _outlive_lease(scene: Scene) -> None:
    """Wait until whatever a frozen worker held is others', and note how it has ended there."""
    await asyncio.sleep(LEASE_SECONDS * scene.rng.uniform(1.3, 1.8))
    async with scene.postgres.connection() as connection:
        await remember_finished(connection, scene.history)


@fault("kill-server")
async def kill_server(scene: Scene) -> None:
    """SIGKILL to the server while deliveries are in its hands, between commit and reply for some of them."""
    for number in range(scene.rng.randint(1, 2)):
        if number > 0:
            await scene.cluster.wait_until_serving()
        await scene.stream.change(30)
        await asyncio.sleep(scene.rng.uniform(0.01, 0.09))
        scene.cluster.server.kill()
        await asyncio.sleep(scene.rng.uniform(0.2, 1.0))
        scene.cluster.server.start()


@fault("clock-skew")
async def clock_skew(scene: Scene) -> None:
    """A worker runs with its clock off by minutes."""
    node = scene.cluster.any_worker(scene.rng)
    seconds = scene.rng.choice((-1, 1)) * scene.rng.uniform(60, 900)
    scene.notes.append(f"{node.name}'s clock was off by {seconds:.0f} s")
    await node.stop()
    node.start({SKEW_VARIABLE: str(seconds)})
    await _until_beating(scene, node)
    await scene.runs.request_both()
    await asyncio.sleep(_SKEWED_SECONDS)
    await node.stop()
    node.start()


async def _until_beating(scene: Scene, node: Node) -> None:
    deadline = time.monotonic() + _START_SECONDS
    async with scene.postgres.connection() as connection:
        while time.monotonic() < deadline:
            if await connection.fetchval("SELECT EXISTS (SELECT FROM tds_workers WHERE pid = $1)", node.pid):
                return
            await asyncio.sleep(0.02)
