"""Finding a dead letter by a part of its id."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.id_lookup import AmbiguousIdError, find_by_id
from app.tds.core.dead_letter_service import DeadLetterNotFoundError
from app.tds.models import TDSDeadLetterQueue

__all__ = ["AmbiguousIdError", "find_letter"]


async def find_letter(session: AsyncSession, part: str) -> TDSDeadLetterQueue:
    """The one letter whose id begins or ends with ``part``.

    Raises:
        UsageError: that is no part of an id, or of several.
        DeadLetterNotFoundError: of none.
    """
    missing = DeadLetterNotFoundError(f"there is no dead letter {part}; those that are open: tds dead-letter list")
    return await find_by_id(session, TDSDeadLetterQueue, part, what="dead letters", missing=missing)
