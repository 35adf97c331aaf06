"""Dead letters: writing them, and resolving them when something newer has been applied."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.core.ids import new_id
from app.core.orm import to_json
from app.tds.core.errors import FieldError
from app.tds.core.events import TDSDeadLetterEvent, TDSDeadLetterResolvedEvent
from app.tds.core.ledger import EntityState
from app.tds.core.outcomes import ClaimedItem, Dead
from app.tds.sql import statement

__all__ = ["Letter", "fingerprint", "record_letters", "resolve_superseded"]

_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is known of a change that was given up. ``payload`` is JSON text, or None if none could be kept."""

    id: UUID = field(default_factory=new_id)
    queue_id: UUID | None
    inbox_event_id: UUID | None
    run_id: UUID | None
    source: str
    entity_type: str
    source_entity_id: str | None
    operation: str | None
    dead: Dead
    total_attempts: int
    payload: str | None
    version_time: datetime | None
    arrival: int | None
    received_at: datetime
    priority: int = 5

    @classmethod
    def of_item(cls, item: ClaimedItem, dead: Dead) -> Letter:
        """The letter of a queue item."""
        return cls(
            queue_id=item.id,
            inbox_event_id=item.inbox_event_id,
            run_id=item.run_id,
            source=item.source,
            entity_type=item.entity_type,
            source_entity_id=item.source_entity_id,
            operation=item.operation_type.value,
            dead=dead,
            total_attempts=item.attempts + dead.spent,
            payload=item.payload,
            version_time=item.version_time,
            arrival=item.arrival,
            received_at=item.received_at,
            priority=item.priority,
        )

    def event(self) -> TDSDeadLetterEvent:
        """What is announced of it."""
        return TDSDeadLetterEvent(
            dead_letter_id=str(self.id),
            entity_type=self.entity_type,
            source_entity_id=self.source_entity_id,
            failure_reason=self.dead.reason,
            total_attempts=self.total_attempts,
        )


def fingerprint(entity_type: str, dead: Dead) -> str:
    """The same for letters that failed in the same way: 16 hex digits over code, fields and the fixed words."""
    fields = ",".join(sorted(f"{error.field}:{error.code}" for error in dead.errors))
    shape = fields or _VARYING.sub("?", dead.reason)
    return hashlib.sha256(f"{entity_type}|{dead.code}|{shape}".encode()).hexdigest()[:16]


def _errors(errors: Sequence[FieldError]) -> str:
    return to_json([error.as_dict() for error in errors])


async def record_letters(session: AsyncSession, letters: Sequence[Letter]) -> list[TDSDeadLetterEvent]:
    """Write letters, in one statement; returns the events to record."""
    if not letters:
        return []
    parameters = {
        "ids": [letter.id for letter in letters],
        "sync_queue_ids": [letter.queue_id for letter in letters],
        "inbox_event_ids": [letter.inbox_event_id for letter in letters],
        "run_ids": [letter.run_id for letter in letters],
        "sources": [letter.source for letter in letters],
        "entity_types": [letter.entity_type for letter in letters],
        "source_entity_ids": [letter.source_entity_id for letter in letters],
        "operation_types": [letter.operation for letter in letters],
        "failure_reasons": [letter.dead.reason for letter in letters],
        "error_codes": [letter.dead.code for letter in letters],
        "fingerprints": [fingerprint(letter.entity_type, letter.dead) for letter in letters],
        "total_attempts": [letter.total_attempts for letter in letters],
        "errors": [_errors(letter.dead.errors) for letter in letters],
        "stacks": [letter.dead.stack for letter in letters],
        "payloads": [letter.payload for letter in letters],
        "priorities": [letter.priority for letter in letters],
        "version_times": [letter.version_time for letter in letters],
        "arrivals": [letter.arrival for letter in letters],
        "received_ats": [letter.received_at for letter in letters],
    }
    await session.execute(statement("record_dead_letters"), parameters)
    return [letter.event() for letter in letters]


async def resolve_superseded(session: AsyncSession, states: Sequence[EntityState]) -> list[TDSDeadLetterResolvedEvent]:
    """Resolve open letters that the newly applied versions make pointless; returns the events to record."""
    if not states:
        return []
    parameters = {
        "sources": [state.source for state in states],
        "entity_types": [state.entity_type for state in states],
        "source_entity_ids": [state.source_entity_id for state in states],
        "version_times": [state.version_time for state in states],
        "arrivals": [state.version_arrival for state in states],
    }
    rows = await fetch(session, statement("resolve_letters"), parameters)
    return [
        TDSDeadLetterResolvedEvent(
            dead_letter_id=str(row.id),
            entity_type=row.entity_type,
            source_entity_id=row.source_entity_id,
            resolution="superseded",
        )
        for row in rows
    ]
