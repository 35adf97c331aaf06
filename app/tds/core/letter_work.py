"""What is done to dead letters, one or many at once: a document made ready for the queue, and letters closed.

Closing is a fixed number of statements, however many letters are closed: queue and ledger rows, the letters, the
audit trail, the events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import InvalidError
from app.core.events import event_log
from app.core.orm import to_json
from app.tds.core.audit import AuditEntry, record_action
from app.tds.core.enqueueing import QueueEntry, enqueue_all
from app.tds.core.errors import FieldError, MappingError
from app.tds.core.events import TDSDeadLetterResolvedEvent
from app.tds.core.ports import Change, Source, StoredEvent
from app.tds.documents import DOCUMENTS
from app.tds.models import TDSDeadLetterQueue, TDSInboxEvent
from app.tds.sql import statement
from app.tds.types import EntityType, OperationType

__all__ = [
    "REPROCESS_PRIORITY",
    "Closing",
    "audit_letter",
    "close_letters",
    "document_errors",
    "make_entry",
    "payload_text",
    "raw_events",
]

REPROCESS_PRIORITY: Final = 10
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A letter that is to be closed. ``entry`` is queued for it; ``payload`` is the document that a person gave."""

    letter: TDSDeadLetterQueue
    note: str
    entry: QueueEntry | None = None
    payload: Mapping[str, Any] | None = None

    @property
    def resolution(self) -> str:
        """How it is closed, in a word."""
        return "manual" if self.entry is None else "reprocessed"

    def audit(self, actor: str) -> AuditEntry:
        """What changes, for the audit trail."""
        before: dict[str, Any] = {"resolved": False}
        after: dict[str, Any] = {"resolved": True, "resolution": self.resolution, "resolution_notes": self.note}
        if self.entry is not None:
            after["reprocessed_as"] = str(self.entry.id)
        if self.payload is not None and self.payload != self.letter.last_payload:
            before["last_payload"], after["last_payload"] = self.letter.last_payload, dict(self.payload)
        return audit_letter(self.letter, before, after, actor)

    def event(self) -> TDSDeadLetterResolvedEvent:
        """What is announced."""
        return TDSDeadLetterResolvedEvent(
            dead_letter_id=str(self.letter.id),
            entity_type=self.letter.entity_type,
            source_entity_id=self.letter.source_entity_id,
            resolution=self.resolution,
        )


def audit_letter(
    letter: TDSDeadLetterQueue, before: Mapping[str, Any], after: Mapping[str, Any], actor: str
) -> AuditEntry:
    """Who changed what of a letter."""
    return AuditEntry(
        entity_type="dead_letter",
        entity_id=str(letter.id),
        source_entity_id=letter.source_entity_id,
        operation=OperationType.UPDATE,
        before=before,
        after=after,
        changed=sorted(after),
        change_source="manual",
        actor=actor,
    )


async def close_letters(session: AsyncSession, closings: Sequence[Closing], *, actor: str) -> None:
    """Close letters that this transaction has locked, and queue what is to be tried again."""
    if not closings:
        return
    entries = {closing.letter.id: closing.entry for closing in closings if closing.entry is not None}
    if entries:
        await enqueue_all(session, list(entries.values()))
    payloads = {str(one.letter.id): one.payload for one in closings if one.payload is not None}
    parameters = {
        "ids": [closing.letter.id for closing in closings],
        "actor": actor,
        "resolutions": to_json({str(closing.letter.id): closing.resolution for closing in closings}),
        "notes": to_json({str(closing.letter.id): closing.note for closing in closings}),
        "queued": to_json({str(letter_id): str(entry.id) for letter_id, entry in entries.items()}),
        "payloads": to_json(payloads),
    }
    await session.execute(statement("close_letters"), parameters)
    await record_action(session, [closing.audit(actor) for closing in closings])
    await event_log.record(session, [closing.event() for closing in closings])


async def raw_events(session: AsyncSession, letters: Sequence[TDSDeadLetterQueue]) -> dict[UUID, TDSInboxEvent]:
    """The raw events that some of these letters must be mapped from again, by their ids."""
    wanted = {one.inbox_event_id for one in letters if one.inbox_event_id is not None and _never_mapped(one)}
    if not wanted:
        return {}
    events = await session.scalars(select(TDSInboxEvent).where(TDSInboxEvent.id.in_(wanted)))
    return {event.id: event for event in events}


def _never_mapped(letter: TDSDeadLetterQueue) -> bool:
    """Whether the letter's payload is still the raw event's: no document came of it, and nobody has written one."""
    return letter.sync_queue_id is None and letter.last_payload == letter.original_payload


def make_entry(
    letter: TDSDeadLetterQueue,
    *,
    payload: Mapping[str, Any] | None,
    events: Mapping[UUID, TDSInboxEvent],
    sources: Mapping[str, Source],
) -> QueueEntry:
    """What is queued for a letter: ``payload``, or the document it has, or what its raw event maps to by now.

    ``events`` are those that ``raw_events`` found for it.

    Raises:
        MappingError: the document, or the raw event, cannot be used.
    """
    if payload is None and _never_mapped(letter):
        event = events.get(letter.inbox_event_id) if letter.inbox_event_id is not None else None
        return _mapped_entry(letter, _map(letter, event, sources))
    document = dict(letter.last_payload or {} if payload is None else payload)
    if errors := document_errors(letter, document):
        raise MappingError(errors, code="invalid_document")
    return _entry(
        letter,
        entity_type=letter.entity_type,
        source_entity_id=letter.source_entity_id or "",
        operation_type=letter.operation_type or OperationType.UPSERT,
        payload=payload_text(document),
        version_time=letter.version_time,
    )


def _mapped_entry(letter: TDSDeadLetterQueue, change: Change) -> QueueEntry:
    return _entry(
        letter,
        entity_type=change.entity_type.value,
        source_entity_id=change.source_entity_id,
        operation_type=change.operation,
        payload=change.payload.decode(),
        version_time=change.version_time,
    )


def _entry(letter: TDSDeadLetterQueue, *, operation_type: OperationType, **values: Any) -> QueueEntry:
    return QueueEntry(
        source=letter.source,
        operation_type=operation_type.value,
        arrival=letter.arrival,
        received_at=letter.received_at,
        priority=REPROCESS_PRIORITY,
        inbox_event_id=letter.inbox_event_id,
        dead_letter_id=letter.id,
        **values,
    )


def _map(letter: TDSDeadLetterQueue, event: TDSInboxEvent | None, sources: Mapping[str, Source]) -> Change:
    source = sources.get(letter.source)
    if source is None or event is None:
        raise MappingError(
            [FieldError("", "the raw event of this letter, or its source, is not here any more", "no_raw_event")]
        )
    stored = StoredEvent(
        body=event.body,
        headers=event.headers,
        entity_type=event.entity_type,
        source_entity_id=event.source_entity_id,
        operation=event.operation,
    )
    try:
        return source.map(stored)
    except MappingError:
        raise
    except Exception as error:
        raise MappingError([FieldError("", f"{type(error).__name__}: {error}", "mapping_crashed")]) from error


def document_errors(letter: TDSDeadLetterQueue, document: Mapping[str, Any]) -> list[FieldError]:
    """Everything wrong with a document for this letter's entity, by field; nothing where it can be queued.

    A delete has no document: whatever stands there is not looked at.
    """
    if letter.source_entity_id is None:
        return [FieldError("", "the letter names no entity: only its raw event can be mapped", "no_id")]
    if letter.entity_type not in set(EntityType) or EntityType(letter.entity_type) not in DOCUMENTS:
        return [FieldError("entity_type", f"TDS does not apply {letter.entity_type!r}", "unsupported_entity")]
    if letter.operation_type is OperationType.DELETE:
        return []
    try:
        DOCUMENTS[EntityType(letter.entity_type)].model_validate_json(to_json(dict(document)))
    except ValidationError as error:
        return _field_errors(error)
    except TypeError as error:
        return [FieldError("", f"is not JSON: {error}", "not_json")]
    return []


def _field_errors(error: ValidationError) -> list[FieldError]:
    return [
        FieldError(".".join(map(str, one["loc"])), one["msg"], one["type"])
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def payload_text(payload: Mapping[str, Any]) -> str:
    """A payload as JSON text that the database can store.

    Raises:
        InvalidError: it cannot.
    """
    try:
        text = to_json(dict(payload))
    except (TypeError, ValueError) as error:
        raise InvalidError(f"the document is not JSON: {error}") from error
    if _NUL.search(text):
        raise InvalidError("the document holds a NUL character, which the database cannot store")
    return text
