"""Write how items ended: the queue rows, their inbox rows, and the counters of their runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import utc_now
from app.core.driver import fetch
from app.core.events.event import DomainEvent
from app.core.orm import to_json
from app.tds.core import rollups
from app.tds.core.enqueueing import Hold, write_rows
from app.tds.core.events import TDSSyncCompletedEvent, TDSSyncFailedEvent
from app.tds.core.outcomes import ClaimedItem, Dead, Defer, Done, End, GiveBack, Retry
from app.tds.sql import statement
from app.tds.types import EventStatus, Outcome

__all__ = ["count_runs", "count_taken", "end_inbox", "end_taken", "finish", "finish_taken", "settle_runs"]

_KEPT_DEFERRALS = 5
_SKIPPED = frozenset({Outcome.UNCHANGED, Outcome.SUPERSEDED})


async def finish(
    session: AsyncSession,
    ends: Sequence[tuple[ClaimedItem, End]],
    *,
    worker: str | None = None,
    now: datetime | None = None,
) -> list[DomainEvent]:
    """End items that this transaction holds; returns events of runs that are complete with them.

    They are counted in the rollups of ``worker``; ``now`` is the database's time, up to which their latency is taken.
    """
    await _end_items(session, ends)
    await rollups.record_ends(session, ends, worker=worker, now=now or utc_now())
    return await count_runs(session, _counted(ends))


async def finish_taken(
    session: AsyncSession, ends: Sequence[tuple[ClaimedItem, End]], *, hold: Hold, now: datetime
) -> None:
    """End items that are in no queue yet, and whose inbox events this transaction has taken; `count_taken` follows.

    What is done is queued as such: one version of its queue row, and of its event. The rest is queued, held, and ended
    as if it had waited there.
    """
    done = {item.id: end for item, end in ends if isinstance(end, Done)}
    await write_rows(session, [item for item, _ in ends], hold=hold, done=done)
    await end_taken(session, [item for item, _ in ends if item.id in done], EventStatus.COMPLETED)
    if rest := [(item, end) for item, end in ends if item.id not in done]:
        await end_taken(session, [item for item, _ in rest], EventStatus.QUEUED)
        await _end_items(session, rest)
    await rollups.record_ends(session, ends, worker=hold.worker, now=now)


async def count_taken(
    session: AsyncSession, ends: Sequence[tuple[ClaimedItem, End]], refused: Iterable[UUID | None]
) -> list[DomainEvent]:
    """Count all that became of what a transaction took from the inbox; returns the events of runs that are complete.

    ``refused`` are the runs of events that became no items. All at once, since two workers that count for the same runs
    in steps of their own would wait for each other.
    """
    return await count_runs(session, [*_counted(ends), *((run_id, "failed") for run_id in refused)])


async def _end_items(session: AsyncSession, ends: Sequence[tuple[ClaimedItem, End]]) -> None:
    parameters = {
        "ids": [item.id for item, _ in ends],
        "ends": to_json({str(item.id): _row(item, end) for item, end in ends}),
    }
    await fetch(session, statement("finish"), parameters)
    await _end_inbox_rows(session, ends)


def _counted(ends: Sequence[tuple[ClaimedItem, End]]) -> list[tuple[UUID | None, str | None]]:
    return [(item.run_id, _counter(end)) for item, end in ends]


def _row(item: ClaimedItem, end: End) -> dict[str, Any]:
    match end:
        case Done():
            return {"status": EventStatus.COMPLETED, "outcome": end.outcome, "target": end.target_entity_id}
        case Retry():
            return {"status": EventStatus.RETRY, "due": end.at, "spent": 1, "errors": [_error(item, end)]}
        case Defer():
            # A queue item may be deferred very often: its errors are kept for the first few times only.
            errors = [_error(item, end)] if item.deferrals < _KEPT_DEFERRALS else None
            row = {"status": EventStatus.RETRY, "due": end.until, "waits_for": end.waits_for, "deferred": 1}
            return row if errors is None else {**row, "errors": errors}
        case Dead():
            return {"status": EventStatus.DEAD_LETTER, "spent": end.spent, "errors": [_error(item, end)]}
        case GiveBack():
            return {"status": EventStatus.PENDING}


def _error(item: ClaimedItem, end: Retry | Defer | Dead) -> dict[str, Any]:
    return {
        "at": utc_now(),
        "attempt": item.attempts + (0 if isinstance(end, Defer) else 1),
        "code": end.code,
        "reason": end.reason,
    }


def _counter(end: End) -> str | None:
    match end:
        case Done():
            return "skipped" if end.outcome in _SKIPPED else "succeeded"
        case Dead():
            return "failed"
        case _:
            return None


async def _end_inbox_rows(session: AsyncSession, ends: Sequence[tuple[ClaimedItem, End]]) -> None:
    completed = [item.inbox_event_id for item, end in ends if isinstance(end, Done) and item.inbox_event_id]
    dead = [item.inbox_event_id for item, end in ends if isinstance(end, Dead) and item.inbox_event_id]
    await end_inbox(session, completed, EventStatus.COMPLETED)
    await end_inbox(session, dead, EventStatus.DEAD_LETTER)


async def end_taken(session: AsyncSession, items: Sequence[ClaimedItem], status: EventStatus) -> None:
    """Move the inbox events on that these items were made of, with what the mapping learned of them."""
    if items:
        parameters = {
            "ids": [item.inbox_event_id for item in items],
            "entity_types": [item.entity_type for item in items],
            "source_entity_ids": [item.source_entity_id for item in items],
            "operations": [item.operation_type for item in items],
            "status": status.value,
        }
        await fetch(session, statement("end_taken"), parameters)


async def end_inbox(
    session: AsyncSession, ids: Sequence[UUID], status: EventStatus, *, learned: dict[str, Any] | None = None
) -> None:
    """Move inbox rows on; ``learned`` holds, by id, what the mapping found out or complained of."""
    if ids:
        parameters = {"ids": list(ids), "status": status.value, "learned": to_json(learned or {})}
        await fetch(session, statement("end_inbox"), parameters)


async def count_runs(session: AsyncSession, counted: Iterable[tuple[UUID | None, str | None]]) -> list[DomainEvent]:
    """Add ended items to the counters of their runs; returns the events of runs that this completes."""
    counts: defaultdict[UUID, dict[str, int]] = defaultdict(lambda: {"succeeded": 0, "failed": 0, "skipped": 0})
    for run_id, counter in counted:
        if run_id is not None and counter is not None:
            counts[run_id][counter] += 1
    if not counts:
        return []
    ids = sorted(counts)
    by_text = to_json({str(run_id): count for run_id, count in counts.items()})
    await fetch(session, statement("count_runs"), {"ids": ids, "counts": by_text})
    return await settle_runs(session, ids)


async def settle_runs(session: AsyncSession, ids: Sequence[UUID]) -> list[DomainEvent]:
    """Complete runs that have nothing left to wait for; returns their events."""
    rows = await fetch(session, statement("settle_runs"), {"ids": list(ids)})
    return [_run_event(row) for row in rows]


def _run_event(row: Row[Any]) -> DomainEvent:
    if row.status == EventStatus.CANCELLED:
        return TDSSyncFailedEvent(sync_run_id=str(row.id), entity_type=row.entity_type, error="cancelled")
    return TDSSyncCompletedEvent(
        sync_run_id=str(row.id),
        total_processed=row.processed_events,
        successful=row.successful_events,
        failed=row.failed_events,
        duration_seconds=row.duration_seconds,
    )
