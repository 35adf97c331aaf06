"""Jobs over many dead letters: asked for once, carried out in chunks by any worker, and never twice.

A chunk's letters, the job's cursor and its counters are one commit: a job goes on behind its last committed letter,
whoever takes it up. Between two chunks nobody holds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

import orjson
from sqlalchemy import Text, func, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import lazyload

from app.core.database import join_or_begin
from app.core.errors import ConflictError, NotFoundError
from app.core.ids import new_id
from app.core.security.origin import acting_from
from app.tds.core.audit import AuditEntry, record_action
from app.tds.core.bisection import Failed, write_in_halves
from app.tds.core.errors import LeaseLostError, MappingError
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.core.letter_work import Closing, close_letters, make_entry, raw_events
from app.tds.core.ports import Source
from app.tds.models import TDSDeadLetterQueue, TDSJob
from app.tds.sql import statement
from app.tds.states import JOB_FINAL
from app.tds.types import EventStatus, OperationType

__all__ = [
    "Chunk",
    "ClaimedJob",
    "JobKind",
    "JobNotFoundError",
    "cancel_job",
    "claim_job",
    "get_job",
    "give_back_job",
    "list_jobs",
    "request_job",
    "work_chunk",
]

JobKind = Literal["reprocess_letters", "resolve_letters"]

_CHUNK: Final = 200
_LONGEST_ERROR: Final = 1_000


class JobNotFoundError(NotFoundError):
    """There is no job of that id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedJob:
    """A job under lease."""

    id: UUID
    lease_token: int
    kind: str
    criteria: LetterCriteria
    note: str | None
    requested_by: str
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What was done of a job in one transaction; ``ended`` if nothing is left of it."""

    succeeded: int = 0
    failed: int = 0
    ended: bool = False


async def request_job(
    session: AsyncSession, kind: JobKind, criteria: LetterCriteria, *, note: str | None, actor: str
) -> TDSJob:
    """Ask for a job over the open letters that these criteria choose at this moment; ``total`` is how many."""
    wanted = criteria.open_only()
    letter = TDSDeadLetterQueue
    counted = select(func.count(), func.max(sql_cast(letter.id, Text))).where(*wanted.conditions())
    async with join_or_begin(session):
        total, upper = (await session.execute(counted)).one()
        job = TDSJob(
            id=new_id(),
            kind=kind,
            criteria=wanted.as_json(),
            note=note,
            total=total,
            upper_id=upper,
            requested_by=actor,
        )
        session.add(job)
        await session.flush()
        await session.refresh(job)
        asked = {"kind": kind, "criteria": job.criteria, "total": total, "note": note}
        await record_action(session, [_audited(job, OperationType.CREATE, None, asked, actor)])
    return job


def _audited(
    job: TDSJob, operation: OperationType, before: Mapping[str, Any] | None, after: Mapping[str, Any], actor: str
) -> AuditEntry:
    return AuditEntry(
        entity_type="job",
        entity_id=str(job.id),
        source_entity_id=None,
        operation=operation,
        before=before,
        after=after,
        changed=sorted(after),
        change_source="manual",
        actor=actor,
    )


async def get_job(session: AsyncSession, job_id: UUID | str) -> TDSJob:
    """One job.

    Raises:
        JobNotFoundError: no such job.
    """
    async with join_or_begin(session):
        job = await session.get(TDSJob, job_id, populate_existing=True)
    if job is None:
        raise JobNotFoundError
    return job


async def list_jobs(
    session: AsyncSession, *, open_only: bool = False, before: UUID | None = None, limit: int = 50
) -> list[TDSJob]:
    """Jobs, newest first; ``before`` is the last id of the page before."""
    query = select(TDSJob)
    if open_only:
        query = query.where(TDSJob.status.not_in(JOB_FINAL))
    if before is not None:
        query = query.where(TDSJob.id < before)
    async with join_or_begin(session):
        return list((await session.scalars(query.order_by(TDSJob.id.desc()).limit(limit))).all())


async def cancel_job(session: AsyncSession, job_id: UUID | str, *, actor: str) -> TDSJob:
    """End a job before its time; what it has done stays done. A chunk in progress is waited for.

    Raises:
        JobNotFoundError, ConflictError: no such job, or it has ended.
    """
    async with join_or_begin(session):
        job = await session.get(TDSJob, job_id, populate_existing=True, with_for_update=True)
        if job is None:
            raise JobNotFoundError
        if job.status in JOB_FINAL:
            raise ConflictError(f"this job has ended already: {job.status.value}")
        before = {"status": job.status.value}
        job.completed_at = (await session.execute(select(func.now()))).scalar_one()
        job.status = EventStatus.CANCELLED
        job.locked_by = job.lock_expires_at = None
        await session.flush()
        after = {"status": job.status.value, "done": job.done}
        await record_action(session, [_audited(job, OperationType.UPDATE, before, after, actor)])
    return job


async def claim_job(session: AsyncSession, *, worker: str, lease: float) -> ClaimedJob | None:
    """Lease the oldest open job for ``lease`` seconds; None if there is none that nobody holds."""
    parameters = {"worker": worker, "lease": timedelta(seconds=lease)}
    row = (await session.execute(statement("claim_job"), parameters)).one_or_none()
    if row is None:
        return None
    return ClaimedJob(
        id=row.id,
        lease_token=row.lease_token,
        kind=row.kind,
        criteria=LetterCriteria.from_json(orjson.loads(row.criteria)),
        note=row.note,
        requested_by=row.requested_by,
        worker=worker,
    )


async def work_chunk(
    session: AsyncSession, job: ClaimedJob, *, sources: Mapping[str, Source], limit: int = _CHUNK
) -> Chunk:
    """Deal with the next letters of a job, and give its lease back: one transaction, the caller's.

    Raises:
        LeaseLostError: the job was cancelled, or somebody else has taken it up; nothing was written.
    """
    parameters = {"id": job.id, "worker": job.worker, "token": job.lease_token}
    held = (await session.execute(statement("hold_job"), parameters)).one_or_none()
    if held is None:
        raise LeaseLostError("this job is not held by the caller any more; nothing was written")
    letters = await _next_letters(session, job.criteria, after=held.cursor_id, until=held.upper_id, limit=limit)
    errors = await _deal_with(session, job, letters, sources)
    advance = {
        "id": job.id,
        "cursor": letters[-1].id if letters else None,
        "succeeded": len(letters) - len(errors),
        "failed": len(errors),
        "error": errors[-1][:_LONGEST_ERROR] if errors else None,
    }
    await session.execute(statement("advance_job"), advance)
    return Chunk(succeeded=len(letters) - len(errors), failed=len(errors), ended=not letters)


async def _next_letters(
    session: AsyncSession, criteria: LetterCriteria, *, after: UUID | None, until: UUID | None, limit: int
) -> Sequence[TDSDeadLetterQueue]:
    """The next letters in the order of their ids, locked. One that an apply is resolving is waited for."""
    if until is None:
        return []
    letter = TDSDeadLetterQueue
    query = select(letter).where(*criteria.open_only().conditions(), letter.id <= until)
    if after is not None:
        query = query.where(letter.id > after)
    query = query.options(lazyload(letter.sync_queue)).order_by(letter.id).limit(limit)
    return (await session.scalars(query.with_for_update())).all()


async def _deal_with(
    session: AsyncSession, job: ClaimedJob, letters: Sequence[TDSDeadLetterQueue], sources: Mapping[str, Source]
) -> list[str]:
    """Close the letters, all at once; a bad one fails alone. Returns the errors."""
    closings, errors = await _closings(session, job, letters, sources)

    async def write(part: Sequence[Closing]) -> Sequence[None]:
        with acting_from(f"job {job.id}"):
            await close_letters(session, part, actor=job.requested_by)
        return [None] * len(part)

    results = await write_in_halves(session, closings, write)
    failed = [(one.letter, result) for one, result in zip(closings, results, strict=True) if isinstance(result, Failed)]
    return errors + [f"{letter.id}: {result.error}" for letter, result in failed]


async def _closings(
    session: AsyncSession, job: ClaimedJob, letters: Sequence[TDSDeadLetterQueue], sources: Mapping[str, Source]
) -> tuple[list[Closing], list[str]]:
    if job.kind == "resolve_letters":
        return [Closing(letter=letter, note=job.note or "") for letter in letters], []
    events = await raw_events(session, letters)
    closings: list[Closing] = []
    errors: list[str] = []
    for letter in letters:
        try:
            entry = make_entry(letter, payload=None, events=events, sources=sources)
        except MappingError as error:
            errors.append(f"{letter.id}: {error.message}")
        else:
            closings.append(Closing(letter=letter, note=f"Queued again as {entry.id}.", entry=entry))
    return closings, errors


async def give_back_job(session: AsyncSession, job: ClaimedJob, *, error: str) -> None:
    """Give the lease back after a failure that was none of the letters', for any worker to go on."""
    parameters = {"id": job.id, "worker": job.worker, "token": job.lease_token, "error": error[:_LONGEST_ERROR]}
    await session.execute(statement("give_back_job"), parameters)
