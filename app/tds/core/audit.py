"""The audit trail: what changed, from what to what, by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.ids import new_id
from app.core.orm import to_json
from app.tds.sql import statement
from app.tds.types import OperationType

__all__ = ["AuditEntry", "record_audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change. ``actor`` is a person's name, or a worker's id; ``change_source`` a source, or ``manual``."""

    entity_type: str
    entity_id: str
    source_entity_id: str | None
    operation: OperationType
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changed: Sequence[str] = field(default_factory=tuple)
    change_source: str
    actor: str
    queue_id: UUID | None = None
    run_id: UUID | None = None


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else to_json(value)


async def record_audit(session: AsyncSession, entries: Sequence[AuditEntry]) -> None:
    """Write entries, in one statement."""
    if not entries:
        return
    parameters = {
        "ids": [new_id() for _ in entries],
        "entity_types": [entry.entity_type for entry in entries],
        "entity_ids": [entry.entity_id for entry in entries],
        "source_entity_ids": [entry.source_entity_id for entry in entries],
        "operations": [entry.operation.value for entry in entries],
        "befores": [_json(entry.before) for entry in entries],
        "afters": [_json(entry.after) for entry in entries],
        "changed": [to_json(list(entry.changed)) for entry in entries],
        "change_sources": [entry.change_source for entry in entries],
        "actors": [entry.actor for entry in entries],
        "queue_ids": [entry.queue_id for entry in entries],
        "run_ids": [entry.run_id for entry in entries],
    }
    await session.execute(statement("record_audit"), parameters)
