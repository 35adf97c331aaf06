"""The queue as its users see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict, cast
from uuid import UUID

import orjson
from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.errors import ConflictError, InvalidError, NotFoundError
from app.core.events import event_log
from app.core.orm import to_json
from app.tds.core import finishing, live, rollups
from app.tds.core.enqueueing import QueueEntry, enqueue_all
from app.tds.core.errors import storable
from app.tds.models import TDSSyncQueue
from app.tds.sql import statement
from app.tds.types import EventStatus, OperationType, Outcome

__all__ = ["QueueHealth", "QueueItemClaimedError", "QueueItemNotFoundError", "TDSQueueService"]

_BACKLOG: Final = 10_000
"""More waiting items than this are an alarm (the spec's threshold)."""
_MAX_ID: Final = 200


class QueueItemNotFoundError(NotFoundError):
    """There is no queue item of that id."""


class QueueItemClaimedError(ConflictError):
    """A worker holds this queue item; it will end it itself."""


class QueueHealth(TypedDict):
    """Counts of items by state, the age of the oldest waiting one in seconds, and a word on the whole."""

    status: str
    pending: int
    processing: int
    retry: int
    retry_ready: int
    dead_letter: int
    oldest_pending_seconds: float
    stale_processing: int


class TDSQueueService:
    """Queue management on the caller's session: in a transaction of the caller's it joins, else it commits."""

    def __init__(self, db: AsyncSession) -> None:
        self.db = db

    async def enqueue(
        self,
        *,
        inbox_event_id: UUID | str | None = None,
        entity_type: str,
        source_entity_id: str,
        operation_type: str,
        validated_payload: Mapping[str, Any],
        priority: int = 5,
        source: str = "zoho",
    ) -> TDSSyncQueue:
        """Put one change into the queue: the newest of its entity, whatever came before.

        ``validated_payload`` is a canonical document in JSON values; what it does not name is not touched.

        Raises:
            InvalidError: an argument that no row can hold.
        """
        entry = QueueEntry(
            source=_word("source", source),
            entity_type=_word("entity_type", entity_type),
            source_entity_id=_word("source_entity_id", source_entity_id),
            operation_type=_operation(operation_type).value,
            payload=_payload(validated_payload),
            priority=_priority(priority),
            inbox_event_id=_uuid(inbox_event_id) if inbox_event_id is not None else None,
        )
        async with join_or_begin(self.db):
            await enqueue_all(self.db, [entry])
            row = (await self.db.execute(select(TDSSyncQueue).where(TDSSyncQueue.id == entry.id))).scalar_one()
        live.follow(row)
        return row

    async def get_pending_events(self, limit: int = 100) -> list[TDSSyncQueue]:
        """What waits for a worker, in the order in which it is claimed: a look, not a claim."""
        async with join_or_begin(self.db):
            return list((await self.db.execute(_pending(limit))).scalars())

    async def mark_as_completed(
        self, queue_id: UUID | str, target_entity_id: str | None = None, *, outcome: Outcome = Outcome.UPDATED
    ) -> TDSSyncQueue:
        """End an item that was handled by hand. Ending a completed one again changes nothing.

        Raises:
            QueueItemNotFoundError: no such item.
            QueueItemClaimedError: a worker has it.
            ConflictError: it is a dead letter or was cancelled.
        """
        async with join_or_begin(self.db):
            row = await self._locked(_uuid(queue_id))
            if row.status is EventStatus.PROCESSING:
                raise QueueItemClaimedError
            if row.status in (EventStatus.DEAD_LETTER, EventStatus.CANCELLED):
                raise ConflictError(f"this queue item has ended as {row.status.value}")
            if row.status is not EventStatus.COMPLETED:
                await self._complete(row, target_entity_id, outcome)
        return row

    async def _locked(self, queue_id: UUID) -> TDSSyncQueue:
        statement = select(TDSSyncQueue).where(TDSSyncQueue.id == queue_id).with_for_update()
        row = (await self.db.execute(statement)).scalar_one_or_none()
        if row is None:
            raise QueueItemNotFoundError
        return row

    async def _complete(self, row: TDSSyncQueue, target_entity_id: str | None, outcome: Outcome) -> None:
        row.completed_at = await self.db.scalar(select(func.now()))
        row.status = EventStatus.COMPLETED
        row.outcome = outcome
        row.target_entity_id = target_entity_id
        row.next_retry_at = None
        await self.db.flush()
        if row.inbox_event_id is not None:
            await finishing.end_inbox(self.db, [row.inbox_event_id], EventStatus.COMPLETED)
        await rollups.record_by_hand(self.db, row.entity_type)
        skipped = outcome in (Outcome.UNCHANGED, Outcome.SUPERSEDED)
        counted = [(row.run_id, "skipped" if skipped else "succeeded")]
        await event_log.record(self.db, await finishing.count_runs(self.db, counted))

    async def check_queue_health(self) -> QueueHealth:
        """How the queue is doing: ``healthy``, ``degraded`` or ``critical``."""
        async with join_or_begin(self.db):
            counts = (await self.db.execute(statement("count_queue"))).one()
        return QueueHealth(
            status=_health(counts.pending, counts.stale, counts.letters),
            pending=counts.pending,
            processing=counts.processing,
            retry=counts.retry,
            retry_ready=counts.retry_ready,
            dead_letter=counts.letters,
            oldest_pending_seconds=round(counts.oldest, 3),
            stale_processing=counts.stale,
        )


def _health(pending: int, stale: int, letters: int) -> str:
    if pending > _BACKLOG:
        return "critical"
    return "degraded" if stale or letters else "healthy"


def _pending(limit: int) -> Select[TDSSyncQueue]:
    if limit < 1:
        raise InvalidError("limit must be at least 1")
    due = (TDSSyncQueue.status == EventStatus.RETRY) & (TDSSyncQueue.next_retry_at <= func.now())
    return (
        select(TDSSyncQueue)
        .where(or_(TDSSyncQueue.status == EventStatus.PENDING, due))
        .order_by(TDSSyncQueue.priority.desc(), TDSSyncQueue.id)
        .limit(limit)
    )


def _uuid(value: UUID | str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidError(f"{value!r} is not a UUID") from error


def _operation(value: str) -> OperationType:
    try:
        return OperationType(value)
    except ValueError as error:
        known = ", ".join(OperationType)
        raise InvalidError(f"operation_type {value!r} is not one of {known}") from error


def _word(name: str, value: str) -> str:
    if not 0 < len(value) <= _MAX_ID or storable(value) != value:
        raise InvalidError(f"{name} must be a text of 1 to {_MAX_ID} characters, none of them NUL or half a character")
    return str(value)


def _priority(value: int) -> int:
    if type(value) is not int or not 1 <= value <= 10:  # noqa: PLR2004 - the range of the column
        raise InvalidError(f"priority {value!r} is not a whole number between 1 (last) and 10 (first)")
    return value


def _payload(value: Mapping[str, Any]) -> str:
    try:
        text = to_json(dict(value))
    except (TypeError, ValueError) as error:
        raise InvalidError(f"validated_payload is not JSON: {error}") from error
    if "\\u0000" in text and _holds_nul(orjson.loads(text)):
        raise InvalidError("validated_payload holds a NUL character, which the database cannot store")
    return text


def _holds_nul(value: Any) -> bool:
    match value:
        case str():
            return "\x00" in value
        case dict():
            return any(_holds_nul(part) for pair in cast("dict[str, Any]", value).items() for part in pair)
        case list():
            return any(_holds_nul(part) for part in cast("list[Any]", value))
        case _:
            return False
