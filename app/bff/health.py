"""The one word on the whole, and the one rule behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["HealthWord", "Signs", "health_word"]

HealthWord: TypeAlias = Literal["healthy", "degraded", "critical", "stalled"]

STALLED_AFTER_SECONDS: Final = 300.0
CRITICAL_BACKLOG: Final = 10_000
CRITICAL_ERROR_RATE: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What health is judged by. ``processed`` counts the items of the last five minutes, ``error_rate`` is in per cent
    of the last hour's, ``worst_alert`` is the highest severity among the active alerts.
    """

    pending: int
    retry_ready: int
    oldest_pending_seconds: float
    stale_processing: int
    active_workers: int
    processed: int
    error_rate: float
    worst_alert: str | None


def health_word(signs: Signs) -> HealthWord:
    """The first of these that holds.

    - ``stalled``: items have waited for five minutes, and in that time no item was processed or no worker is alive.
    - ``critical``: more than 10,000 items wait, more than 10 % fail, or an alert of severity ``critical`` is active.
    - ``degraded``: any other alert is active, an item's worker is gone, or items wait and no worker is alive.
    - ``healthy``: none of these. Dead letters alone are work for a person, not a fault of the sync.
    """
    waiting = signs.pending + signs.retry_ready
    idle = not signs.processed or not signs.active_workers
    if waiting and signs.oldest_pending_seconds >= STALLED_AFTER_SECONDS and idle:
        return "stalled"
    if signs.pending > CRITICAL_BACKLOG or signs.error_rate > CRITICAL_ERROR_RATE or signs.worst_alert == "critical":
        return "critical"
    if signs.worst_alert is not None or signs.stale_processing or (waiting and not signs.active_workers):
        return "degraded"
    return "healthy"
