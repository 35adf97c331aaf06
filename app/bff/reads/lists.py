"""Lists, newest first, from a cursor on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import InvalidError
from app.tds.models import TDSAuditTrail

__all__ = ["AuditCriteria", "AuditTooWideError", "find_audit"]

_MANUAL = "manual"


class AuditTooWideError(InvalidError):
    """An entity_type alone would search the whole trail: add entity_id, or manual=true for what persons did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCriteria:
    """Which entries of the audit trail. ``manual`` is what persons did, and so is whatever names an ``actor``."""

    entity_type: str | None = None
    entity_id: str | None = None
    actor: str | None = None
    manual: bool = False


async def find_audit(
    session: AsyncSession, criteria: AuditCriteria, *, before: UUID | None, limit: int
) -> Sequence[TDSAuditTrail]:
    """Entries that fit, newest first.

    Raises:
        AuditTooWideError: no index leads to what is asked.
    """
    audit = TDSAuditTrail
    manual = criteria.manual or criteria.actor is not None
    if criteria.entity_type is not None and criteria.entity_id is None and not manual:
        raise AuditTooWideError
    query = select(audit)
    for column, value in (
        (audit.entity_type, criteria.entity_type),
        (audit.entity_id, criteria.entity_id),
        (audit.actor, criteria.actor),
    ):
        if value is not None:
            query = query.where(column == value)
    if manual:
        query = query.where(audit.change_source == _MANUAL)
    if before is not None:
        query = query.where(audit.id < before)
    return (await session.scalars(query.order_by(audit.id.desc()).limit(limit))).all()
