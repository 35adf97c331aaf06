"""Dead letters that failed in the same way, as groups: usually one mend serves a whole group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, Uuid, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.tds.core.letter_criteria import LetterCriteria
from app.tds.models import TDSDeadLetterQueue

__all__ = ["LetterGroup", "read_groups"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterGroup:
    """Letters of one fingerprint; ``sample_*`` is the newest of them."""

    fingerprint: str
    entity_type: str
    error_code: str
    count: int
    first: datetime
    last: datetime
    sample_id: UUID
    sample_reason: str


async def read_groups(session: AsyncSession, criteria: LetterCriteria, *, limit: int) -> Sequence[LetterGroup]:
    """The largest groups first."""
    letter = TDSDeadLetterQueue
    grouped = (
        select(
            letter.fingerprint,
            func.count().label("amount"),
            func.min(letter.created_at).label("first"),
            func.max(letter.created_at).label("last"),
            # No max(uuid) before PostgreSQL 18; the text of a UUID sorts as the UUID does.
            cast(func.max(cast(letter.id, Text)), Uuid).label("sample_id"),
        )
        .where(*criteria.conditions())
        .group_by(letter.fingerprint)
        .order_by(func.count().desc(), letter.fingerprint)
        .limit(limit)
        .cte("grouped")
    )
    rows = await session.execute(
        select(grouped, letter.entity_type, letter.error_code, letter.failure_reason)
        .join(letter, letter.id == grouped.c.sample_id)
        .order_by(grouped.c.amount.desc(), grouped.c.fingerprint)
    )
    return [
        LetterGroup(
            fingerprint=row.fingerprint,
            entity_type=row.entity_type,
            error_code=row.error_code,
            count=row.amount,
            first=row.first,
            last=row.last,
            sample_id=row.sample_id,
            sample_reason=row.failure_reason,
        )
        for row in rows
    ]
