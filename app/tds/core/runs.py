"""Runs: opening, asking for, completing and failing them; reading one page of a managed run at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.errors import ConflictError, NotFoundError
from app.core.events import event_log
from app.core.ids import new_id
from app.core.orm import to_json
from app.tds.core import finishing, inbox
from app.tds.core.audit import MANUAL, AuditEntry, record_action
from app.tds.core.errors import LeaseLostError
from app.tds.core.events import TDSSyncCompletedEvent, TDSSyncFailedEvent, TDSSyncStartedEvent
from app.tds.core.ports import Page
from app.tds.models import TDSSyncCursor, TDSSyncRun
from app.tds.sql import statement
from app.tds.types import EventStatus, OperationType, RunMode, SourceType

__all__ = [
    "ClaimedRun",
    "RunAlreadyOpenError",
    "RunNotFoundError",
    "cancel_run",
    "claim_run",
    "complete_run",
    "eta_seconds",
    "fail_run",
    "hold_run",
    "open_run",
    "postpone_run",
    "renew_run",
    "request_run",
    "resume_run",
    "store_page",
]

_OPEN = (EventStatus.PENDING, EventStatus.PROCESSING)


class RunNotFoundError(NotFoundError):
    """There is no run of that id."""


class RunAlreadyOpenError(ConflictError):
    """A run of this entity is open already; ``run_id`` names it."""

    def __init__(self, run_id: UUID) -> None:
        self.run_id = run_id
        super().__init__(f"a run of this entity is open already: {run_id}")


def _started(run: TDSSyncRun) -> TDSSyncStartedEvent:
    return TDSSyncStartedEvent(
        sync_run_id=str(run.id),
        entity_type=run.entity_type,
        source_type=run.run_type.value,
        batch_size=int(run.configuration.get("batch_size", 100)),
    )


async def open_run(
    session: AsyncSession, *, run_type: SourceType, source: str, entity_type: str, configuration: dict[str, Any]
) -> TDSSyncRun:
    """Record a run that somebody else carries out."""
    run = TDSSyncRun(
        id=new_id(),
        run_type=run_type,
        source=source,
        entity_type=entity_type,
        configuration=configuration,
        status=EventStatus.PROCESSING,
    )
    async with join_or_begin(session):
        run.started_at = await session.scalar(select(func.now()))
        session.add(run)
        await session.flush()
        await session.refresh(run)
        await event_log.record(session, [_started(run)])
    return run


async def request_run(
    session: AsyncSession, *, source: str, entity_type: str, mode: RunMode, started_by: str | None
) -> TDSSyncRun:
    """Ask for a managed run; one at a time for each entity of a source.

    Raises:
        RunAlreadyOpenError: there is one.
    """
    async with join_or_begin(session):
        # Two requests at once: the second waits here, and then sees the first.
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"tds.run.{source}.{entity_type}"))))
        open_runs = select(TDSSyncRun.id).where(
            TDSSyncRun.source == source,
            TDSSyncRun.entity_type == entity_type,
            TDSSyncRun.managed,
            TDSSyncRun.status.in_(_OPEN),
        )
        if (existing := await session.scalar(open_runs.limit(1))) is not None:
            raise RunAlreadyOpenError(existing)
        cursor = await session.get(TDSSyncCursor, (source, entity_type), populate_existing=True)
        run = TDSSyncRun(
            id=new_id(),
            run_type=SourceType.ZOHO,
            source=source,
            entity_type=entity_type,
            mode=mode,
            managed=True,
            since=cursor.watermark if cursor and mode is RunMode.INCREMENTAL else None,
            started_by=started_by,
        )
        session.add(run)
        await session.flush()
        await session.refresh(run)
        if started_by is not None:
            await record_action(session, [_asked_for(run, started_by)])
    return run


def _asked_for(run: TDSSyncRun, actor: str) -> AuditEntry:
    after = {"source": run.source, "entity_type": run.entity_type, "mode": run.mode.value}
    return AuditEntry(
        entity_type="sync_run",
        entity_id=str(run.id),
        source_entity_id=None,
        operation=OperationType.CREATE,
        before=None,
        after=after,
        changed=sorted(after),
        change_source=MANUAL,
        actor=actor,
    )


async def _locked(session: AsyncSession, run_id: UUID | str) -> TDSSyncRun:
    query = select(TDSSyncRun).where(TDSSyncRun.id == run_id).with_for_update()
    run = (await session.execute(query, execution_options={"populate_existing": True})).scalar_one_or_none()
    if run is None:
        raise RunNotFoundError
    if run.status not in _OPEN:
        raise ConflictError(f"this run has ended already: {run.status.value}")
    return run


async def complete_run(
    session: AsyncSession, run_id: UUID | str, *, total_processed: int, successful: int, failed: int
) -> TDSSyncRun:
    """Complete a run with the counts of whoever carried it out."""
    async with join_or_begin(session):
        run = await _locked(session, run_id)
        now = await _end(session, run, EventStatus.COMPLETED)
        run.total_events = run.processed_events = total_processed
        run.successful_events, run.failed_events = successful, failed
        run.skipped_events = total_processed - successful - failed
        run.error_summary = f"{failed} of {total_processed} items failed" if failed else None
        await session.flush()
        event = TDSSyncCompletedEvent(
            sync_run_id=str(run.id),
            total_processed=total_processed,
            successful=successful,
            failed=failed,
            duration_seconds=(now - (run.started_at or run.created_at)).total_seconds(),
        )
        await event_log.record(session, [event])
    return run


async def fail_run(session: AsyncSession, run_id: UUID | str, *, error: str) -> TDSSyncRun:
    """End a run that cannot go on; what it has read stays queued."""
    async with join_or_begin(session):
        run = await _locked(session, run_id)
        await _end(session, run, EventStatus.FAILED)
        run.error_summary = error[:2_000]
        await session.flush()
        event = TDSSyncFailedEvent(sync_run_id=str(run.id), entity_type=run.entity_type, error=error[:2_000])
        await event_log.record(session, [event])
    return run


async def _end(session: AsyncSession, run: TDSSyncRun, status: EventStatus) -> datetime:
    now = (await session.execute(select(func.now()))).scalar_one()
    run.status, run.completed_at = status, now
    run.locked_by = run.lock_expires_at = None
    return now


async def cancel_run(session: AsyncSession, run_id: UUID | str, *, actor: str) -> TDSSyncRun:
    """Stop reading, and cancel what is queued and not begun. The run ends with its last item in progress."""
    async with join_or_begin(session):
        run = await _locked(session, run_id)
        run.cancel_requested = run.scan_completed = True
        run.locked_by = run.lock_expires_at = None
        if run.status is EventStatus.PENDING:
            run.status = EventStatus.PROCESSING
        await session.flush()
        cancelled = await _cancel_items(session, run.id)
        if cancelled:
            run.checkpoint = None  # what was cancelled must be read again, should the run be resumed
        await session.flush()
        await event_log.record(session, await finishing.count_runs(session, [(run.id, "skipped")] * cancelled))
        await event_log.record(session, await finishing.settle_runs(session, [run.id]))
        await session.refresh(run)
        if run.status is EventStatus.CANCELLED:
            run.error_summary = f"cancelled by {actor} after {run.processed_events} of {run.total_events} items"
            await session.flush()
    return run


async def _cancel_items(session: AsyncSession, run_id: UUID) -> int:
    events = (await session.execute(statement("cancel_events"), {"run_id": run_id})).all()
    inbox_ids = list((await session.execute(statement("cancel_items"), {"run_id": run_id})).scalars())
    await finishing.end_inbox(session, [one for one in inbox_ids if one], EventStatus.CANCELLED)
    return len(events) + len(inbox_ids)


async def resume_run(session: AsyncSession, run_id: UUID | str) -> TDSSyncRun:
    """Let a failed or cancelled run go on where it stopped.

    Raises:
        RunNotFoundError, ConflictError: there is no such run, or it cannot be resumed.
    """
    async with join_or_begin(session):
        query = select(TDSSyncRun).where(TDSSyncRun.id == run_id).with_for_update()
        run = (await session.execute(query, execution_options={"populate_existing": True})).scalar_one_or_none()
        if run is None:
            raise RunNotFoundError
        if not run.managed or run.status not in (EventStatus.FAILED, EventStatus.CANCELLED):
            raise ConflictError(f"only a failed or cancelled run can be resumed; this one is {run.status.value}")
        run.status, run.completed_at, run.error_summary = EventStatus.PENDING, None, None
        run.cancel_requested = run.scan_completed = False
        run.attempts, run.next_attempt_at = 0, None
        await session.flush()
    return run


def eta_seconds(run: TDSSyncRun, now: datetime) -> float | None:
    """How long a run will still take at its own pace; None while that cannot be told (its size is not known yet)."""
    if run.started_at is None or not run.scan_completed or not run.processed_events:
        return None
    pace = run.processed_events / max(0.001, (now - run.started_at).total_seconds())
    return (run.total_events - run.processed_events) / pace


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A managed run under lease."""

    id: UUID
    lease_token: int
    source: str
    entity_type: str
    mode: RunMode
    since: datetime | None
    checkpoint: Mapping[str, Any] | None
    attempts: int
    worker: str


async def claim_run(session: AsyncSession, *, worker: str, lease: float) -> ClaimedRun | None:
    """Claim the oldest managed run that waits to be read, or whose reader is gone; announces a new one."""
    parameters = {"worker": worker, "lease": timedelta(seconds=lease)}
    row = (await session.execute(statement("claim_run"), parameters)).one_or_none()
    if row is None:
        return None
    run = await session.get(TDSSyncRun, row.id, populate_existing=True)
    assert run is not None  # noqa: S101 - the row was updated a moment ago in this transaction
    if row.first:
        await event_log.record(session, [_started(run)])
    return ClaimedRun(
        id=run.id,
        lease_token=run.lease_token,
        source=run.source,
        entity_type=run.entity_type,
        mode=run.mode,
        since=run.since,
        checkpoint=run.checkpoint,
        attempts=run.attempts,
        worker=worker,
    )


async def store_page(session: AsyncSession, run: ClaimedRun, page: Page, *, lease: float) -> None:
    """Store a page's records and the run's checkpoint together; the last page also moves the cursor.

    Raises:
        LeaseLostError: somebody else reads this run now; nothing was written.
    """
    parameters = {
        "id": run.id,
        "worker": run.worker,
        "token": run.lease_token,
        "lease": timedelta(seconds=lease),
        "records": len(page.records),
        "checkpoint": to_json(dict(page.checkpoint)),
        "last": page.last,
    }
    if (await session.execute(statement("advance_run"), parameters)).one_or_none() is None:
        raise LeaseLostError
    await inbox.store_records(session, page.records, source=run.source, run_id=run.id, trace_id=str(run.id))
    if page.last:
        await _move_cursor(session, run, page.watermark)
        await event_log.record(session, await finishing.settle_runs(session, [run.id]))


async def _move_cursor(session: AsyncSession, run: ClaimedRun, watermark: datetime | None) -> None:
    if watermark is None:
        return
    row = insert(TDSSyncCursor).values(
        source=run.source, entity_type=run.entity_type, watermark=watermark, run_id=run.id
    )
    await session.execute(
        row.on_conflict_do_update(
            index_elements=[TDSSyncCursor.source, TDSSyncCursor.entity_type],
            set_={
                "watermark": func.greatest(TDSSyncCursor.watermark, row.excluded.watermark),
                "run_id": run.id,
                "updated_at": func.now(),
            },
        )
    )


async def renew_run(session: AsyncSession, run: ClaimedRun, *, lease: float) -> bool:
    """Extend the lease on a run while a page is being fetched; False if it is lost."""
    parameters = {"id": run.id, "worker": run.worker, "token": run.lease_token, "lease": timedelta(seconds=lease)}
    return (await session.execute(statement("renew_run"), parameters)).one_or_none() is not None


async def hold_run(session: AsyncSession, run: ClaimedRun) -> int | None:
    """Lock a run that the worker still has, so that it may end it; its attempts by now, None if it is lost."""
    query = select(TDSSyncRun.attempts).where(
        TDSSyncRun.id == run.id,
        TDSSyncRun.status == EventStatus.PROCESSING,
        TDSSyncRun.locked_by == run.worker,
        TDSSyncRun.lease_token == run.lease_token,
    )
    return await session.scalar(query.with_for_update())


async def postpone_run(
    session: AsyncSession, run: ClaimedRun, *, seconds: float = 0.0, why: str | None = None, spent: int = 0
) -> None:
    """Let a run rest, with its checkpoint; any worker goes on with it when the time has come."""
    parameters = {
        "id": run.id,
        "worker": run.worker,
        "token": run.lease_token,
        "wait": timedelta(seconds=seconds),
        "why": None if why is None else why[:2_000],
        "spent": spent,
    }
    await session.execute(statement("postpone_run"), parameters)
