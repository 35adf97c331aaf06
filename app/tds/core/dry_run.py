"""What would become of a letter: the real apply, in a savepoint that is always rolled back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from msgspec import structs
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import ConflictError
from app.tds.core import claims
from app.tds.core.apply import Applier
from app.tds.core.enqueueing import QueueEntry, enqueue_all
from app.tds.core.errors import FieldError, MappingError
from app.tds.core.outcomes import ClaimedItem, Dead, Defer, Done, End, GiveBack, Retry
from app.tds.core.retry import sqlstate
from app.tds.models import TDSAuditTrail
from app.tds.sql import statement

__all__ = ["DryRun", "EntityBusyError", "refused", "try_entry"]

_WORKER: Final = "dry-run"
_PATIENCE: Final = 2.0
_LEASE: Final = 60.0
_IDLE: Final = "30s"
_LOCKED: Final = "55P03"


class EntityBusyError(ConflictError):
    """This entity is being worked on at this moment. Try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What would become of a letter's change.

    ``outcome`` is that of an item (``created``, ``updated``, ``deleted``, ``unchanged``, ``superseded``), ``waits``
    for something that is not here yet, ``retry`` after a passing error, or ``dead_letter`` again. The first three have
    ``before`` and ``after``, as the audit trail would; the last three a ``code`` and a ``reason``.
    """

    outcome: str
    entity_type: str
    source_entity_id: str | None
    local_id: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    changed: Sequence[str] = ()
    code: str | None = None
    reason: str | None = None
    errors: Sequence[FieldError] = field(default_factory=tuple)
    paused: bool = False


def refused(entity_type: str, source_entity_id: str | None, error: MappingError) -> DryRun:
    """The answer for a document that would not even be queued."""
    return DryRun(
        outcome="dead_letter",
        entity_type=entity_type,
        source_entity_id=source_entity_id,
        code=error.reason,
        reason=error.message,
        errors=error.errors,
    )


async def try_entry(session: AsyncSession, entry: QueueEntry, applier: Applier) -> DryRun:
    """Queue and apply an entry inside the session's transaction, and undo all of it: rows, locks and events.

    Raises:
        EntityBusyError: a worker applies this entity, and did not finish within two seconds.
    """
    savepoint = await session.begin_nested()
    try:
        return await _try(session, entry, applier)
    except DBAPIError as error:
        if sqlstate(error) == _LOCKED:
            raise EntityBusyError from error
        raise
    finally:
        await savepoint.rollback()


async def _try(session: AsyncSession, entry: QueueEntry, applier: Applier) -> DryRun:
    await session.execute(statement("guard"), {"idle": _IDLE, "lock": f"{int(_PATIENCE * 1000)}ms"})
    await enqueue_all(session, [entry])
    claimed = await claims.claim_one(session, entry.id, worker=_WORKER, lease=_LEASE)
    assert claimed is not None  # noqa: S101 - the row was written a moment ago in this transaction
    item = structs.replace(claimed, paused=False)
    report = await applier.apply(session, [item], worker=_WORKER)
    ((_, end),) = report.ends
    return await _described(session, item, end, paused=claimed.paused)


async def _described(session: AsyncSession, item: ClaimedItem, end: End, *, paused: bool) -> DryRun:
    answer = DryRun(outcome="", entity_type=item.entity_type, source_entity_id=item.source_entity_id, paused=paused)
    match end:
        case Done():
            return await _with_changes(session, item, replace(answer, outcome=end.outcome.value), end)
        case Dead():
            return replace(answer, outcome="dead_letter", code=end.code, reason=end.reason, errors=end.errors)
        case Defer():
            return replace(answer, outcome="waits", code=end.code, reason=end.reason)
        case Retry():
            return replace(answer, outcome="retry", code=end.code, reason=end.reason)
        case GiveBack():
            return replace(answer, outcome="retry", code="given_back", reason="it was not tried")


async def _with_changes(session: AsyncSession, item: ClaimedItem, answer: DryRun, end: Done) -> DryRun:
    audit = TDSAuditTrail
    query = select(audit.before, audit.after, audit.changed_fields).where(audit.queue_id == item.id)
    if end.target_entity_id is not None:
        query = query.where(audit.entity_id == end.target_entity_id, audit.entity_type == item.entity_type)
    row = (await session.execute(query.order_by(audit.id.desc()).limit(1))).one_or_none()
    if row is None:
        return replace(answer, local_id=end.target_entity_id)
    before, after, changed = row
    return replace(answer, local_id=end.target_entity_id, before=before, after=after, changed=changed)
