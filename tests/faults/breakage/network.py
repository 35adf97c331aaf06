"""Faults of the network between one process and PostgreSQL."""

from __future__ import annotations

import asyncio

from tests.faults.breakage.aim import catch_with_items
from tests.faults.cluster import LEASE_SECONDS
from tests.faults.faults import Scene, fault
from tests.faults.promises.leases import remember_finished

__all__ = ["tcp_cut", "tcp_forget", "tcp_stall"]


def _any_node(scene: Scene) -> str:
    return scene.rng.choice(sorted(scene.cluster.proxies))


@fault("tcp-cut")
async def tcp_cut(scene: Scene) -> None:
    """One process's connections are reset, and new ones too, for a while."""
    name = _any_node(scene)
    proxy = scene.cluster.proxies[name]
    scene.notes.append(f"cut {name} off")
    await scene.runs.request_both()
    await asyncio.sleep(scene.rng.uniform(0, 0.3))
    proxy.cut()
    await asyncio.sleep(scene.rng.uniform(0.5, 3.0))
    proxy.mend()


@fault("tcp-forget")
async def tcp_forget(scene: Scene) -> None:
    """One process's connections fall silent for ever, without an end; new ones are possible."""
    name = _any_node(scene)
    scene.notes.append(f"forgot the connections of {name}")
    await scene.runs.request_both()
    await asyncio.sleep(scene.rng.uniform(0, 0.3))
    scene.cluster.proxies[name].forget()


@fault("tcp-stall")
async def tcp_stall(scene: Scene) -> None:
    """One process's bytes are kept back for longer than its lease, then arrive after all."""
    name = _any_node(scene)
    proxy = scene.cluster.proxies[name]
    await scene.runs.request_both()
    held = 0
    if name == "server":
        proxy.stall()
    else:
        held = await catch_with_items(scene, scene.cluster.nodes[name], proxy.stall, proxy.resume)
    scene.notes.append(f"kept back the bytes of {name}, which had {held} items")
    await asyncio.sleep(LEASE_SECONDS * scene.rng.uniform(1.2, 1.8))
    async with scene.postgres.connection() as connection:
        await remember_finished(connection, scene.history)
    proxy.resume()
