"""Rollups: what ended, counted per minute, worker and entity type in the transaction that ends it.

So they are exact, whatever crashes: what was rolled back was never counted. Each worker has rows of its own, and nobody
waits for anybody. Deferred items and items given back have not been tried: they count for nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.tds.core.outcomes import ClaimedItem, Dead, Done, End, Retry
from app.tds.sql import statement
from app.tds.types import EntityType, Outcome

__all__ = [
    "BOUNDS_MS",
    "UNKNOWN_TYPE",
    "Tally",
    "forget_rollups",
    "record_by_hand",
    "record_dead",
    "record_ends",
    "tally",
]

BOUNDS_MS: Final = (10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000)
"""Upper bounds of the latency buckets; a last bucket takes what is above them. Fixed, so that buckets add up."""

UNKNOWN_TYPE: Final = "unknown"
"""What a type that TDS does not know is counted under: a sender's words must not make rows without end."""

_KNOWN: Final = frozenset(entity_type.value for entity_type in EntityType)
_HOURS_KEPT: Final = 8
"""Hourly sums are small: they are kept so many times as long as the minutes."""


@dataclass(slots=True)
class Tally:
    """What ended of one entity type. Latencies, from receipt to now, are those of what succeeded."""

    succeeded: int = 0
    retried: int = 0
    dead: int = 0
    created: int = 0
    deleted: int = 0
    latency_sum_ms: float = 0.0
    latency_max_ms: float = 0.0
    latency_counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    newest_change_at: datetime | None = None

    def succeed(self, item: ClaimedItem, outcome: Outcome, now: datetime) -> None:
        """Count an item that is settled."""
        self.succeeded += 1
        if outcome is Outcome.CREATED:
            self.created += 1
        elif outcome is Outcome.DELETED:
            self.deleted += 1
        took = max(0.0, (now - item.received_at).total_seconds() * 1_000)
        self.latency_sum_ms += took
        self.latency_max_ms = max(self.latency_max_ms, took)
        self.latency_counts[bisect_left(BOUNDS_MS, took)] += 1
        newest = item.version_time
        if newest is not None and (self.newest_change_at is None or newest > self.newest_change_at):
            self.newest_change_at = newest


def _type(word: str) -> str:
    return word if word in _KNOWN else UNKNOWN_TYPE


def tally(ends: Iterable[tuple[ClaimedItem, End]], now: datetime) -> Mapping[str, Tally]:
    """Count ends by entity type; ``now`` is the database's time."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for item, end in ends:
        if isinstance(end, Done):
            tallies[_type(item.entity_type)].succeed(item, end.outcome, now)
        elif isinstance(end, Retry):
            tallies[_type(item.entity_type)].retried += 1
        elif isinstance(end, Dead):
            tallies[_type(item.entity_type)].dead += 1
    return tallies


async def record_ends(
    session: AsyncSession, ends: Iterable[tuple[ClaimedItem, End]], *, worker: str | None, now: datetime
) -> None:
    """Count ends inside the transaction that writes them, in one statement; none where nothing ended."""
    await _record(session, tally(ends, now), worker)


async def record_dead(session: AsyncSession, entity_types: Iterable[str | None], *, worker: str | None) -> None:
    """Count events that became dead letters before they were queue items, by entity type."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for entity_type in entity_types:
        tallies[_type(entity_type or "")].dead += 1
    await _record(session, tallies, worker)


async def record_by_hand(session: AsyncSession, entity_type: str) -> None:
    """Count an item that somebody ended by hand: a success that took nobody any time, and touched no entity."""
    await _record(session, {_type(entity_type): Tally(succeeded=1)}, None)


async def _record(session: AsyncSession, tallies: Mapping[str, Tally], worker: str | None) -> None:
    if not tallies:
        return
    values = list(tallies.values())
    parameters = {
        "worker": worker,
        "entity_types": list(tallies),
        "succeeded": [one.succeeded for one in values],
        "retried": [one.retried for one in values],
        "dead": [one.dead for one in values],
        "created": [one.created for one in values],
        "deleted": [one.deleted for one in values],
        "latency_sums": [one.latency_sum_ms for one in values],
        "latency_maxima": [one.latency_max_ms for one in values],
        "latency_counts": [f"{{{','.join(map(str, one.latency_counts))}}}" for one in values],
        "newest_changes": [one.newest_change_at for one in values],
    }
    await fetch(session, statement("record_rollups"), parameters)


async def forget_rollups(session: AsyncSession, *, days: int, limit: int = 10_000) -> int:
    """Delete rollups and queue samples older than ``days``, at most ``limit`` rows of each table; hourly sums are
    kept eight times as long. Returns how many rows went: 0 where nothing is left to delete.
    """
    parameters = {
        "age": timedelta(days=days),
        "hours_age": timedelta(days=days * _HOURS_KEPT),
        "limit": limit,
    }
    return (await session.execute(statement("forget_rollups"), parameters)).scalar_one()
