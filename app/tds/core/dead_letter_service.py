"""Working on dead letters: find, look at, reprocess, resolve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.errors import ConflictError, InvalidError, NotFoundError
from app.core.events import event_log
from app.core.orm import to_json
from app.tds.core import live
from app.tds.core.enqueueing import QueueEntry, enqueue_all
from app.tds.core.errors import FieldError, MappingError
from app.tds.core.events import TDSDeadLetterResolvedEvent
from app.tds.core.ports import Change, Source, StoredEvent
from app.tds.documents import DOCUMENTS
from app.tds.models import TDSDeadLetterQueue, TDSInboxEvent, TDSSyncQueue
from app.tds.types import EntityType, OperationType

__all__ = ["DeadLetterNotFoundError", "DeadLetterResolvedError", "DeadLetterService"]

_REPROCESS_PRIORITY = 10


class DeadLetterNotFoundError(NotFoundError):
    """There is no dead letter of that id."""


class DeadLetterResolvedError(ConflictError):
    """This dead letter has been resolved already."""


class DeadLetterService:
    """Dead letters on the caller's session. ``sources`` map again what never became a document."""

    def __init__(self, db: AsyncSession, sources: Mapping[str, Source] | None = None) -> None:
        self.db = db
        self.sources = sources or {}

    async def find(
        self,
        *,
        entity_type: str | None = None,
        resolved: bool | None = False,
        fingerprint: str | None = None,
        limit: int = 50,
    ) -> list[TDSDeadLetterQueue]:
        """Letters, newest first; ``resolved`` None means both kinds."""
        query: Select[TDSDeadLetterQueue] = select(TDSDeadLetterQueue)
        if entity_type is not None:
            query = query.where(TDSDeadLetterQueue.entity_type == entity_type)
        if resolved is not None:
            query = query.where(TDSDeadLetterQueue.resolved.is_(resolved))
        if fingerprint is not None:
            query = query.where(TDSDeadLetterQueue.fingerprint == fingerprint)
        async with join_or_begin(self.db):
            rows = await self.db.execute(query.order_by(TDSDeadLetterQueue.id.desc()).limit(limit))
            return list(rows.scalars())

    async def get(self, letter_id: UUID | str) -> TDSDeadLetterQueue:
        """One letter.

        Raises:
            DeadLetterNotFoundError: no such letter.
        """
        async with join_or_begin(self.db):
            return await self._get(letter_id, lock=False)

    async def reprocess(
        self, letter_id: UUID | str, *, payload: Mapping[str, Any] | None = None, actor: str = "tds"
    ) -> TDSSyncQueue:
        """Queue a letter's change again, first in line, and resolve the letter; ``payload`` replaces its document.

        The new item keeps the letter's version: if something newer has been applied meanwhile, that wins.

        Raises:
            DeadLetterNotFoundError, DeadLetterResolvedError: no such open letter.
            MappingError: the document, or the raw event, still cannot be used; the letter stays as it is.
        """
        async with join_or_begin(self.db):
            letter = await self._get(letter_id, lock=True)
            if letter.resolved:
                raise DeadLetterResolvedError
            entry = await self._entry(letter, payload)
            await enqueue_all(self.db, [entry])
            if payload is not None:
                letter.last_payload = dict(payload)
            letter.reprocessed_as = entry.id
            await self._resolve(letter, "reprocessed", f"Queued again as {entry.id}.", actor)
            item = (await self.db.execute(select(TDSSyncQueue).where(TDSSyncQueue.id == entry.id))).scalar_one()
        live.follow(item)
        return item

    async def resolve(self, letter_id: UUID | str, *, note: str, actor: str = "tds") -> TDSDeadLetterQueue:
        """Close a letter without doing anything about it; the note says why.

        Raises:
            DeadLetterNotFoundError, DeadLetterResolvedError: no such open letter.
            InvalidError: the note is empty.
        """
        if not note.strip():
            raise InvalidError("a note is needed: whoever looks later wants to know why")
        async with join_or_begin(self.db):
            letter = await self._get(letter_id, lock=True)
            if letter.resolved:
                raise DeadLetterResolvedError
            await self._resolve(letter, "manual", note.strip(), actor)
        return letter

    async def _get(self, letter_id: UUID | str, *, lock: bool) -> TDSDeadLetterQueue:
        query = select(TDSDeadLetterQueue).where(TDSDeadLetterQueue.id == letter_id)
        if lock:
            query = query.with_for_update()
        letter = (await self.db.execute(query, execution_options={"populate_existing": True})).scalar_one_or_none()
        if letter is None:
            raise DeadLetterNotFoundError
        return letter

    async def _resolve(self, letter: TDSDeadLetterQueue, resolution: str, note: str, actor: str) -> None:
        letter.resolved_at = (await self.db.execute(select(func.now()))).scalar_one()
        letter.resolved = True
        letter.resolved_by = actor
        letter.resolution = resolution
        letter.resolution_notes = note
        await self.db.flush()
        event = TDSDeadLetterResolvedEvent(
            dead_letter_id=str(letter.id),
            entity_type=letter.entity_type,
            source_entity_id=letter.source_entity_id,
            resolution=resolution,
        )
        await event_log.record(self.db, [event])

    async def _entry(self, letter: TDSDeadLetterQueue, payload: Mapping[str, Any] | None) -> QueueEntry:
        if letter.sync_queue_id is None and payload is None:
            return _mapped_entry(letter, await self._map_again(letter))
        if letter.source_entity_id is None:
            raise MappingError(
                [FieldError("", "the letter names no entity: only its raw event can be mapped", "no_id")]
            )
        operation = letter.operation_type or OperationType.UPSERT
        document = letter.last_payload if payload is None else dict(payload)
        if operation is not OperationType.DELETE:
            _check(letter.entity_type, document or {})
        return QueueEntry(
            source=letter.source,
            entity_type=letter.entity_type,
            source_entity_id=letter.source_entity_id,
            operation_type=operation.value,
            payload=to_json(document or {}),
            version_time=letter.version_time,
            arrival=letter.arrival,
            received_at=letter.received_at,
            priority=_REPROCESS_PRIORITY,
            inbox_event_id=letter.inbox_event_id,
            dead_letter_id=letter.id,
        )

    async def _map_again(self, letter: TDSDeadLetterQueue) -> Change:
        source = self.sources.get(letter.source)
        event = await self.db.get(TDSInboxEvent, letter.inbox_event_id) if letter.inbox_event_id else None
        if source is None or event is None:
            raise ConflictError("the raw event of this letter, or its source, is not here any more")
        return source.map(
            StoredEvent(
                body=event.body,
                headers=event.headers,
                entity_type=event.entity_type,
                source_entity_id=event.source_entity_id,
                operation=event.operation,
            )
        )


def _mapped_entry(letter: TDSDeadLetterQueue, change: Change) -> QueueEntry:
    return QueueEntry(
        source=letter.source,
        entity_type=change.entity_type.value,
        source_entity_id=change.source_entity_id,
        operation_type=change.operation.value,
        payload=change.payload.decode(),
        version_time=change.version_time,
        arrival=letter.arrival,
        received_at=letter.received_at,
        priority=_REPROCESS_PRIORITY,
        inbox_event_id=letter.inbox_event_id,
        dead_letter_id=letter.id,
    )


def _check(entity_type: str, document: Mapping[str, Any]) -> None:
    """Refuse a document that would only die again."""
    kind = DOCUMENTS.get(EntityType(entity_type)) if entity_type in set(EntityType) else None
    if kind is None:
        raise MappingError([FieldError("entity_type", f"TDS does not apply {entity_type!r}", "unsupported_entity")])
    try:
        kind.model_validate_json(orjson.dumps(document))
    except ValidationError as error:
        errors = [
            FieldError(".".join(map(str, one["loc"])), one["msg"], one["type"])
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise MappingError(errors, code="invalid_document") from error
