"""Faults of the source's API while runs read it."""

from __future__ import annotations

import asyncio
import time

from app.sandbox.zoho.contract import FaultRule
from tests.faults.faults import Scene, fault

__all__ = ["source_5xx", "source_429", "source_broken_json", "source_cut", "source_slow"]


async def _with_rules(scene: Scene, *rules: FaultRule) -> None:
    """Put rules in force, have runs meet them, and take them away again."""
    await scene.control.add_faults(*rules)
    try:
        ends = time.monotonic() + scene.rng.uniform(2.5, 4.0)
        while time.monotonic() < ends:
            await scene.runs.request_both()  # one that is open already may have read all it wanted
            await asyncio.sleep(min(0.5, max(0.0, ends - time.monotonic())))
        fired = sum(rule.fired for rule in await scene.control.faults())
    finally:
        await scene.control.clear_faults()
    scene.notes.append(f"{fired} calls were spoilt")


@fault("source-429")
async def source_429(scene: Scene) -> None:
    """The source asks for patience, with and without saying for how long."""
    code = scene.rng.choice((44, 1070))
    await _with_rules(scene, FaultRule(kind="rate_limited", code=code, retry_after=scene.rng.randint(1, 3)))


@fault("source-5xx")
async def source_5xx(scene: Scene) -> None:
    """The source answers with errors of its own, some of them not even JSON."""
    await _with_rules(
        scene,
        FaultRule(kind="html", status=scene.rng.choice((502, 503, 504)), probability=0.5),
        FaultRule(kind="server_error", probability=scene.rng.uniform(0.5, 1.0)),
    )


@fault("source-slow")
async def source_slow(scene: Scene) -> None:
    """The source takes its time."""
    await _with_rules(scene, FaultRule(kind="slow", delay=scene.rng.uniform(0.3, 1.5)))


@fault("source-cut")
async def source_cut(scene: Scene) -> None:
    """The source's answers end in the middle."""
    fraction, probability = scene.rng.uniform(0, 0.9), scene.rng.uniform(0.4, 1.0)
    await _with_rules(scene, FaultRule(kind="cut", fraction=fraction, probability=probability))


@fault("source-broken-json")
async def source_broken_json(scene: Scene) -> None:
    """The source answers 200 with half a document, or with an error inside."""
    await _with_rules(
        scene,
        FaultRule(kind="truncated", fraction=scene.rng.uniform(0.1, 0.95), probability=0.5),
        FaultRule(kind="error_200", probability=scene.rng.uniform(0.3, 1.0)),
    )
