"""P7: it heals unaided, and soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.promises.evidence import Evidence, Violation, acknowledged

__all__ = ["LIMIT_SECONDS", "Timed", "check_recovery", "seconds_to_recover"]

LIMIT_SECONDS: Final = 10.0
SHARE: Final = 0.95
_STEP: Final = 0.1
_WINDOW: Final = 1.0
_BEFORE: Final = 1.5

_APPLIED: Final = """
    SELECT extract(epoch FROM created_at) AS received, extract(epoch FROM completed_at) AS applied
    FROM tds_inbox_events
    WHERE created_at > to_timestamp($1) AND run_id IS NULL AND status = 'completed'
"""
_SILENT_SECONDS: Final = 25.0
"""A heart beats every 10 s; the rest is for a fault in between, and for coming back from it."""
_BEATS: Final = """
    SELECT pid, extract(epoch FROM now() - max(heartbeat_at)) AS silent FROM tds_workers
    WHERE pid = ANY ($1) GROUP BY pid
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
    """A change: when it was received, and when it was applied (epoch)."""

    received: float
    applied: float


async def check_recovery(evidence: Evidence) -> list[Violation]:
    """Webhooks are accepted and applied as before the fault, and runs go on, within seconds; all comes to rest.

    How long a source waits before it sends again what was refused is its own affair, and not counted.
    """
    if evidence.lateness is not None:
        return [Violation("P7", evidence.lateness)]
    began, ended, fetch = evidence.fault_began, evidence.fault_ended, evidence.connection.fetch
    rows = await fetch(_APPLIED, began - _BEFORE)
    timed = [Timed(float(row["received"]), float(row["applied"])) for row in rows]
    gone_on = [float(row["went_on"]) - ended for row in await fetch(_RUNS, ended)]
    seconds = max([seconds_to_recover(timed, began=began, ended=ended), _refused(evidence), *gone_on])
    evidence.recovery = round(seconds, 2)
    told = await _silent_workers(evidence)
    if seconds > LIMIT_SECONDS:
        told.append(
            Violation("P7", f"{seconds:.1f} s from the fault's end until the rate was back ({LIMIT_SECONDS} s)")
        )
    return told


async def _silent_workers(evidence: Evidence) -> list[Violation]:
    """Others do the work of a worker that hangs; it must come back all the same."""
    rows = await evidence.connection.fetch(_BEATS, list(evidence.workers.values()))
    silent = {row["pid"]: float(row["silent"]) for row in rows}
    return [
        Violation("P7", f"{name} has not beaten for {silent[pid]:.0f} s")
        for name, pid in evidence.workers.items()
        if silent.get(pid, 0.0) > _SILENT_SECONDS
    ]


def _refused(evidence: Evidence) -> float:
    """Seconds from the fault's end to the last change made after it whose first delivery was not accepted."""
    last = evidence.fault_ended
    for delivery in evidence.deliveries:
        made = evidence.made.get(delivery.id, 0.0)
        if delivery.attempts and made > evidence.fault_ended and acknowledged(delivery.attempts[0]) is None:
            last = max(last, made + delivery.attempts[0].seconds)
    return last - evidence.fault_ended


def seconds_to_recover(timed: Sequence[Timed], *, began: float, ended: float) -> float:
    """Seconds from ``ended`` to the moment from which on changes are applied at ``SHARE`` of the rate before
    ``began``, or no more of them wait for longer than a second than did then.
    """
    if not timed:
        return 0.0
    before = [one.applied for one in timed if one.applied <= began]
    rate = len(before) / max(began - min(one.received for one in timed), _WINDOW)
    usual = max((_stuck(timed, moment) for moment in _moments(began - _BEFORE, began - _WINDOW)), default=0)
    late = [
        moment
        for moment in _moments(ended, max(one.applied for one in timed))
        if _stuck(timed, moment) > usual and _applied(timed, moment) < SHARE * rate * _WINDOW
    ]
    return max(late) + _WINDOW - ended if late else 0.0


def _moments(first: float, last: float) -> list[float]:
    return [first + _STEP * step for step in range(max(0, int((last - first) / _STEP) + 1))]


def _stuck(timed: Sequence[Timed], moment: float) -> int:
    """How many were there at that moment and were not applied within the next second."""
    return sum(one.received <= moment and one.applied > moment + _WINDOW for one in timed)


def _applied(timed: Sequence[Timed], moment: float) -> int:
    return sum(moment < one.applied <= moment + _WINDOW for one in timed)
