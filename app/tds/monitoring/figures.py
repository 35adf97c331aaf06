"""What is read for dashboards, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from app.tds.core.rollups import BOUNDS_MS

__all__ = ["Depths", "EntityFigures", "Point", "Process", "Rates", "Sums", "Today", "WorkerRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Rollups added up. ``processed`` counts attempts that ended: ``succeeded`` and ``failed``; of the failed ones
    ``retried`` will be tried again and ``dead`` are dead letters. Latencies, in milliseconds from receipt to the end,
    are those of what succeeded; ``latency_counts`` has one number for each of ``BOUNDS_MS`` and one above them.
    """

    processed: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    dead: int = 0
    created: int = 0
    deleted: int = 0
    latency_sum_ms: float = 0.0
    latency_max_ms: float = 0.0
    latency_counts: Sequence[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))

    @classmethod
    def of(cls, row: Any) -> Sums:
        """The sums in a row whose columns bear these names."""
        return cls(**{one.name: getattr(row, one.name) for one in fields(cls)})

    def __add__(self, other: Sums) -> Sums:
        added = {name: getattr(self, name) + getattr(other, name) for name in _ADDED}
        counts = [a + b for a, b in zip(self.latency_counts, other.latency_counts, strict=True)]
        longest = max(self.latency_max_ms, other.latency_max_ms)
        return Sums(**added, latency_max_ms=longest, latency_counts=counts)

    @property
    def error_rate(self) -> float:
        """Failed attempts in per cent of those that ended, 0.0 where none did."""
        return 100.0 * self.failed / self.processed if self.processed else 0.0

    @property
    def success_rate(self) -> float:
        """The rest, 100.0 where none ended."""
        return 100.0 * self.succeeded / self.processed if self.processed else 100.0

    @property
    def average_ms(self) -> float:
        """The mean latency, 0.0 where nothing succeeded."""
        return self.latency_sum_ms / self.succeeded if self.succeeded else 0.0

    def quantile_ms(self, share: float) -> float:
        """The latency that ``share`` (0 to 1) of what succeeded stayed below, as near as the buckets tell."""
        wanted, below, lower = share * sum(self.latency_counts), 0, 0.0
        for bound, count in zip((*BOUNDS_MS, self.latency_max_ms), self.latency_counts, strict=True):
            upper = min(float(bound), self.latency_max_ms)
            if count and below + count >= wanted:
                return lower + (max(upper, lower) - lower) * max(0.0, wanted - below) / count
            below, lower = below + count, upper
        return self.latency_max_ms if below else 0.0


_ADDED = tuple(one.name for one in fields(Sums) if one.name not in {"latency_max_ms", "latency_counts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Full minutes added up. ``active_minutes`` are those in which something ended."""

    minutes: int
    active_minutes: int
    total: Sums
    by_type: Mapping[str, Sums]

    @property
    def per_minute(self) -> float:
        """Attempts that ended, for each minute in which any did; 0.0 while all is idle."""
        return self.total.processed / self.active_minutes if self.active_minutes else 0.0

    @property
    def error_rate(self) -> float:
        """Failed attempts in per cent."""
        return self.total.error_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """Since local midnight: items completed, attempts failed, and how many of those became dead letters."""

    since: datetime
    completed: int
    failed: int
    dead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """How long the queue is. A count is exact up to 10,000. Above that it is the sample of ``sampled_at``, and its
    name is in ``sampled``; without one it is 10,001, and its name is in ``at_least``.

    ``stale`` are items whose worker is gone (their leases have ended), ``dead_letter`` the letters that are open,
    ``inbox`` what was received and not validated yet.
    """

    pending: int
    processing: int
    retry: int
    retry_ready: int
    stale: int
    dead_letter: int
    inbox: int
    oldest_pending_seconds: float
    sampled_at: datetime | None
    sampled: frozenset[str] = frozenset()
    at_least: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFigures:
    """One entity type. ``last_sync`` is when a change of it was last settled, ``newest_change_at`` the source's time
    of the newest change applied (its age is the freshness). ``pending`` is sampled where the queue is long.
    """

    entity_type: str
    last_sync: datetime | None
    newest_change_at: datetime | None
    total_synced: int
    pending: int
    pending_sampled: bool
    failed_last_24h: int
    success_rate: float
    last_24h: Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A minute or an hour of a series; idle ones are nought."""

    at: datetime
    sums: Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker. ``alive``: its heart beat within the last half minute. ``lost``: no beat for longer than 45 s, and
    no goodbye. ``process`` names the process it belongs to.
    """

    id: str
    process: str
    host: str
    pid: int
    version: str
    state: str
    batch_size: int
    batch_started_at: datetime | None
    processed: int
    failed: int
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None
    alive: bool
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The workers of one process, which live and die together. ``silent_seconds`` is the age of its last heartbeat."""

    name: str
    host: str
    workers: int
    started_at: datetime
    heartbeat_at: datetime
    silent_seconds: float
    stopped: bool
