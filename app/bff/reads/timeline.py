"""What happened to one entity, from the five tables that tell of it, in the order of their ids.

All ids are UUIDv7, so one cursor serves all tables: each gives its newest entries below the cursor, through an index
of the entity, and the newest of those make the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import lazyload

from app.bff.views.timeline import AuditedEntry, EventEntry, LetterEntry, QueuedEntry, ReceivedEntry
from app.core.events.models import EventLogEntry
from app.tds.models import TDSAuditTrail, TDSDeadLetterQueue, TDSEntity, TDSInboxEvent, TDSSyncQueue

__all__ = ["read_timeline"]

Entry = ReceivedEntry | QueuedEntry | AuditedEntry | EventEntry | LetterEntry
Aggregates = list[tuple[str, Sequence[str]]]
S = TypeVar("S", bound=Select[Any])

_BODY_SHOWN: Final = 4_000
_LETTERS: Final = 200


async def read_timeline(
    session: AsyncSession, *, source: str, entity_type: str, source_entity_id: str, before: UUID | None, limit: int
) -> list[Entry]:
    """Up to ``limit`` entries, newest first; nothing of an entity that nobody knows."""
    ledger = await session.get(TDSEntity, (source, entity_type, source_entity_id))
    key = {"source": source, "entity_type": entity_type, "source_entity_id": source_entity_id}
    told_of = await _aggregates(session, key, ledger.local_id if ledger is not None else None)
    found: list[Entry] = [
        *await _queued(session, key, before, limit),
        *await _letters(session, key, before, limit),
        *await _received(session, key, before, limit),
        *await _audited(session, told_of, before, limit),
        *await _events(session, told_of, before, limit),
    ]
    return sorted(found, key=lambda entry: entry.id, reverse=True)[:limit]


def _newest(query: S, column: Any, before: UUID | None, limit: int) -> S:
    if before is not None:
        query = query.where(column < before)
    return query.order_by(column.desc()).limit(limit)


async def _queued(session: AsyncSession, key: dict[str, str], before: UUID | None, limit: int) -> list[QueuedEntry]:
    query = _newest(select(TDSSyncQueue).filter_by(**key), TDSSyncQueue.id, before, limit)
    return [QueuedEntry.model_validate(row) for row in await session.scalars(query)]


async def _letters(session: AsyncSession, key: dict[str, str], before: UUID | None, limit: int) -> list[LetterEntry]:
    letter = TDSDeadLetterQueue
    query = select(letter).filter_by(**key).options(lazyload(letter.sync_queue))
    return [LetterEntry.model_validate(row) for row in await session.scalars(_newest(query, letter.id, before, limit))]


def _inbox_ids(key: dict[str, str], before: UUID | None, limit: int) -> Select[Any]:
    """The raw events behind the entity's queue items and letters: no raw event is found by its entity, for many are
    stored before anybody knows what they are about.
    """
    parts = [
        _newest(select(model.inbox_event_id).filter_by(**key), model.inbox_event_id, before, limit).where(
            model.inbox_event_id.is_not(None)
        )
        for model in (TDSSyncQueue, TDSDeadLetterQueue)
    ]
    return select(union(*(part.subquery().select() for part in parts)).subquery())


async def _received(session: AsyncSession, key: dict[str, str], before: UUID | None, limit: int) -> list[ReceivedEntry]:
    ids = (await session.scalars(_inbox_ids(key, before, limit))).all()
    if not ids:
        return []
    event = TDSInboxEvent
    columns = _shown()
    query = select(*columns).where(event.id.in_(ids)).order_by(event.id.desc()).limit(limit)
    return [_raw(dict(row)) for row in (await session.execute(query)).mappings()]


def _shown() -> Sequence[Any]:
    event = TDSInboxEvent
    return (
        *(event.id, event.created_at, event.source, event.operation, event.signature, event.status),
        func.substr(event.body, 1, _BODY_SHOWN).label("body"),
        func.length(event.body).label("bytes"),
        *(event.validation_errors, event.run_id, event.trace_id, event.completed_at),
    )


def _raw(row: dict[str, Any]) -> ReceivedEntry:
    return ReceivedEntry.model_validate({**row, "body": bytes(row["body"]).decode(errors="replace")})


async def _audited(session: AsyncSession, told_of: Aggregates, before: UUID | None, limit: int) -> list[AuditedEntry]:
    """Changes of the local row, and what people did to the entity's letters."""
    audit = TDSAuditTrail
    found: list[AuditedEntry] = []
    for kind, ids in told_of:
        query = select(audit).where(audit.entity_type == kind, audit.entity_id.in_(ids))
        rows = await session.scalars(_newest(query, audit.id, before, limit))
        found += [AuditedEntry.model_validate(row) for row in rows]
    return found


async def _events(session: AsyncSession, told_of: Aggregates, before: UUID | None, limit: int) -> list[EventEntry]:
    event = EventLogEntry
    matching = [(event.aggregate_type == kind) & event.aggregate_id.in_(ids) for kind, ids in told_of]
    if not matching:
        return []
    query = _newest(select(event).where(or_(*matching)), event.event_id, before, limit)
    return [EventEntry.model_validate(row) for row in await session.scalars(query)]


async def _aggregates(session: AsyncSession, key: dict[str, str], local_id: str | None) -> Aggregates:
    """What audit rows and events are told of: the entity, and its newest letters."""
    letter = TDSDeadLetterQueue
    ids = (await session.scalars(select(letter.id).filter_by(**key).order_by(letter.id.desc()).limit(_LETTERS))).all()
    found: Aggregates = []
    if local_id is not None:
        found.append((key["entity_type"], [local_id]))
    if ids:
        found.append(("dead_letter", [str(one) for one in ids]))
    return found
