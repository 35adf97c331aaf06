"""P7: it heals unaided, and soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tests.faults.promises.evidence import Evidence, Violation, acknowledged

__all__ = ["LIMIT_SECONDS", "Timed", "check_recovery", "seconds_to_recover"]

LIMIT_SECONDS: Final = 10.0
SHARE: Final = 0.95
_STEP: Final = 0.1
_WINDOW: Final = 1.0
_HELD_BACK: Final = frozenset({"delay", "reorder", "drop", "invalid"})

_ENDED: Final = """
    SELECT event.id, extract(epoch FROM first.completed_at) AS completed
    FROM tds_inbox_events AS event
    JOIN tds_inbox_events AS first ON first.id = COALESCE(event.duplicate_of, event.id)
    WHERE event.id = ANY ($1)
"""
_RUNS: Final = """
    SELECT min(extract(epoch FROM event.created_at)) AS went_on
    FROM tds_sync_runs AS run
    JOIN tds_inbox_events AS event ON event.run_id = run.id
    WHERE run.created_at < to_timestamp($1) AND (run.completed_at IS NULL OR run.completed_at > to_timestamp($1))
      AND event.created_at > to_timestamp($1)
    GROUP BY run.id
"""


@dataclass(frozen=True, slots=True)
class Timed:
    """A change: when it was made at the source, and when it was applied here (epoch)."""

    made: float
    applied: float


async def check_recovery(evidence: Evidence) -> list[Violation]:
    """The rate from source to local row is back within seconds, runs go on, and all comes to rest."""
    if evidence.lateness is not None:
        return [Violation("P7", evidence.lateness)]
    timed = await _timed(evidence)
    seconds = seconds_to_recover(timed, began=evidence.fault_began, ended=evidence.fault_ended)
    for row in await evidence.connection.fetch(_RUNS, evidence.fault_ended):
        seconds = max(seconds, float(row["went_on"]) - evidence.fault_ended)
    evidence.recovery = round(seconds, 2)
    if seconds <= LIMIT_SECONDS:
        return []
    return [Violation("P7", f"{seconds:.1f} s from the fault's end until the rate was back (limit {LIMIT_SECONDS} s)")]


async def _timed(evidence: Evidence) -> list[Timed]:
    """The changes whose webhooks the source meant to send at once."""
    events: dict[UUID, float] = {}
    for delivery in evidence.deliveries:
        if _HELD_BACK.isdisjoint(delivery.switches) and delivery.id in evidence.made:
            ids = [found for attempt in delivery.attempts if (found := acknowledged(attempt)) is not None]
            events.update(dict.fromkeys(ids, evidence.made[delivery.id]))
    rows = await evidence.connection.fetch(_ENDED, list(events))
    return [Timed(events[row["id"]], float(row["completed"])) for row in rows if row["completed"] is not None]


def seconds_to_recover(timed: Sequence[Timed], *, began: float, ended: float) -> float:
    """Seconds from ``ended`` to the moment from which on, in every second, changes are applied at ``SHARE`` of the
    rate before ``began``, or no more of them wait than did then.
    """
    if not timed:
        return 0.0
    before = [one.applied for one in timed if one.applied <= began]
    rate = len(before) / max(began - min(one.made for one in timed), _WINDOW)
    usual = max((_waiting(timed, moment) for moment in _moments(began - 1.5, began)), default=0)
    last = max(one.applied for one in timed)
    late = [
        moment
        for moment in _moments(ended, last)
        if _waiting(timed, moment) > usual + 1 and _applied(timed, moment) < SHARE * rate * _WINDOW
    ]
    return max(late) + _STEP - ended if late else 0.0


def _moments(first: float, last: float) -> list[float]:
    return [first + _STEP * step for step in range(max(0, int((last - first) / _STEP) + 1))]


def _waiting(timed: Sequence[Timed], moment: float) -> int:
    return sum(one.made <= moment < one.applied for one in timed)


def _applied(timed: Sequence[Timed], moment: float) -> int:
    return sum(moment < one.applied <= moment + _WINDOW for one in timed)
