"""The faults by name, the order in which rounds meet them, and what a fault is given to work with."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from app.sandbox.zoho.control import SandboxControl
from tests.faults.cluster import Cluster
from tests.faults.postgres import Postgres
from tests.faults.promises.evidence import History
from tests.faults.workload import Runs, Stream

__all__ = ["COMPANIONS", "FAULTS", "Scene", "Strike", "deck", "fault", "strike"]


@dataclass(slots=True)
class Scene:
    """What a fault works on. ``until_round_end`` undoes, after the checks, what a fault leaves in place till then.

    ``notes`` say what was done in particular.
    """

    cluster: Cluster
    postgres: Postgres
    control: SandboxControl
    stream: Stream
    runs: Runs
    history: History
    rng: random.Random
    until_round_end: AsyncExitStack
    notes: list[str] = field(default_factory=list[str])


Strike = Callable[[Scene], Awaitable[None]]
"""Does the fault and mends it. Its return is the fault's end, from which the recovery is measured."""

_REGISTERED: Final[dict[str, Strike]] = {}
FAULTS: Final[Mapping[str, Strike]] = _REGISTERED

COMPANIONS: Final = (
    "kill-worker",
    "terminate-backends",
    "held-snapshot",
    "source-429",
    "source-5xx",
    "source-slow",
    "source-cut",
    "source-broken-json",
)
"""Faults that come as a second one, beside any other."""


def fault(name: str) -> Callable[[Strike], Strike]:
    """Register a fault."""

    def register(function: Strike) -> Strike:
        _REGISTERED[name] = function
        return function

    return register


async def strike(name: str, scene: Scene) -> None:
    """Do the named fault, and mend it."""
    await FAULTS[name](scene)


def deck(seed: int, rounds: int, only: str | None = None) -> list[tuple[str, ...]]:
    """The faults of each round: every one that is dealt comes before any comes again; some rounds have a second one."""
    if only is not None:
        return [(only,)] * rounds
    rng = random.Random(f"{seed}/deck")
    dealt: list[tuple[str, ...]] = []
    while len(dealt) < rounds:
        shuffled = sorted(FAULTS)
        rng.shuffle(shuffled)
        dealt += [_with_companion(name, rng) for name in shuffled]
    return dealt[:rounds]


def _with_companion(name: str, rng: random.Random) -> tuple[str, ...]:
    if rng.random() >= 0.3:
        return (name,)
    return (name, rng.choice([other for other in COMPANIONS if _kind(other) != _kind(name)]))


def _kind(name: str) -> str:
    """Two faults of the source would undo each other: its rules are one list."""
    return "source" if name.startswith("source-") else name
