"""Put validated changes into the queue, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.core.ids import new_id
from app.tds.core import ledger
from app.tds.core.outcomes import ClaimedItem, Done
from app.tds.sql import column, statement

__all__ = ["Hold", "QueueEntry", "enqueue_all", "write_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """A queue row to be. ``arrival`` and ``received_at`` are those of the inbox event; None means now."""

    id: UUID = field(default_factory=new_id)
    source: str
    entity_type: str
    source_entity_id: str
    operation_type: str
    payload: str
    version_time: datetime | None = None
    arrival: int | None = None
    received_at: datetime | None = None
    priority: int = 5
    inbox_event_id: UUID | None = None
    run_id: UUID | None = None
    dead_letter_id: UUID | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A lease that queue rows begin with."""

    worker: str
    seconds: float


async def enqueue_all(
    session: AsyncSession, entries: Sequence[QueueEntry | ClaimedItem], *, hold: Hold | None = None
) -> None:
    """Write queue rows, and the ledger rows they will need, in two statements.

    With ``hold`` the rows are claimed in the same moment; their ``lease_token`` is 1.
    """
    await ledger.open_rows(session, ((e.source, e.entity_type, e.source_entity_id) for e in entries))
    await write_rows(session, entries, hold=hold)


async def write_rows(
    session: AsyncSession,
    entries: Sequence[QueueEntry | ClaimedItem],
    *,
    hold: Hold | None = None,
    done: Mapping[UUID, Done] | None = None,
) -> None:
    """Write queue rows in one statement; those named in ``done`` are complete from the start."""
    ends = [done.get(entry.id) for entry in entries] if done else []
    parameters = {
        "ids": [entry.id for entry in entries],
        "inbox_event_ids": column([entry.inbox_event_id for entry in entries]),
        "run_ids": column([entry.run_id for entry in entries]),
        "dead_letter_ids": column([entry.dead_letter_id for entry in entries]),
        "sources": [entry.source for entry in entries],
        "entity_types": [entry.entity_type for entry in entries],
        "source_entity_ids": [entry.source_entity_id for entry in entries],
        "operation_types": [entry.operation_type for entry in entries],
        "payloads": [entry.payload for entry in entries],
        "version_times": column([entry.version_time for entry in entries]),
        "arrivals": column([entry.arrival for entry in entries]),
        "received_ats": column([entry.received_at for entry in entries]),
        "priorities": [entry.priority for entry in entries],
        "trace_ids": column([entry.trace_id for entry in entries]),
        "outcomes": column([end and end.outcome for end in ends]),
        "targets": column([end and end.target_entity_id for end in ends]),
        "worker": hold and hold.worker,
        "lease": hold and timedelta(seconds=hold.seconds),
    }
    await fetch(session, statement("enqueue"), parameters)
