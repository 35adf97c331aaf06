"""The audit trail: what changed, from what to what, by whom, and, where a person acts, from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.core.epochs import VIEWS, raise_epoch
from app.core.ids import new_id
from app.core.orm import to_json
from app.core.security.origin import origin
from app.core.security.recording import AccessChange
from app.tds.sql import column, statement
from app.tds.types import OperationType

__all__ = ["MANUAL", "AuditEntry", "record_access", "record_action", "record_audit"]

MANUAL: Final = "manual"
"""The ``change_source`` of what a person does."""


class AuditEntry(Struct, frozen=True, kw_only=True, gc=False):
    """One change. ``actor`` is a person's name, or a worker's id; ``change_source`` a source, or ``manual``."""

    entity_type: str
    entity_id: str
    source_entity_id: str | None
    operation: OperationType
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changed: Sequence[str] = ()
    change_source: str
    actor: str
    queue_id: UUID | None = None
    run_id: UUID | None = None


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else to_json(value)


@lru_cache(maxsize=1_000)
def _array(names: tuple[str, ...]) -> str:
    """The names as PostgreSQL writes an array. A creation has the names of all its fields: the same ones each time."""
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "{" + ",".join(f'"{name}"' for name in quoted) + "}"


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
        "befores": column([_json(entry.before) for entry in entries]),
        "afters": [_json(entry.after) for entry in entries],
        "changed": [_array(tuple(entry.changed)) for entry in entries],
        "change_sources": [entry.change_source for entry in entries],
        "actors": [entry.actor for entry in entries],
        "origins": column([origin.get() if entry.change_source == MANUAL else None for entry in entries]),
        "queue_ids": column([entry.queue_id for entry in entries]),
        "run_ids": column([entry.run_id for entry in entries]),
    }
    await fetch(session, statement("record_audit"), parameters)


async def record_action(session: AsyncSession, entries: Sequence[AuditEntry]) -> None:
    """Write what a person does, and make every cached answer stale with it: all actions go through here."""
    await record_audit(session, entries)
    if entries:
        raise_epoch(session, VIEWS)


async def record_access(session: AsyncSession, change: AccessChange) -> None:
    """Write that a token or a session was made, changed or ended."""
    operation = OperationType.UPDATE
    if change.before is None or change.after is None:
        operation = OperationType.CREATE if change.before is None else OperationType.DELETE
    entry = AuditEntry(
        entity_type=change.what,
        entity_id=change.which,
        source_entity_id=None,
        operation=operation,
        before=change.before,
        after=change.after,
        changed=sorted(change.after or change.before or ()),
        change_source=MANUAL,
        actor=change.actor,
    )
    await record_action(session, [entry])
