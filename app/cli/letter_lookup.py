"""Finding a dead letter by a part of its id."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import String, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.failures import UsageError
from app.cli.terminal import short_id
from app.tds.core.dead_letter_service import DeadLetterNotFoundError
from app.tds.models import TDSDeadLetterQueue

__all__ = ["AmbiguousIdError", "find_letter"]

_PART: Final = re.compile(r"[0-9a-f]{6,32}")
_SHOWN: Final = 5


class AmbiguousIdError(UsageError):
    """Several dead letters have such an id."""


async def find_letter(session: AsyncSession, part: str) -> TDSDeadLetterQueue:
    """The one letter whose id begins or ends with ``part``. Ids of one minute begin alike: the end tells them apart.

    Raises:
        UsageError: that is no part of an id, or of several.
        DeadLetterNotFoundError: of none.
    """
    digits = part.strip().lower().replace("-", "")
    if not _PART.fullmatch(digits):
        raise UsageError(f"{part!r} is no id: give 6 hexadecimal digits or more of its beginning or its end")
    identifier = func.replace(cast(TDSDeadLetterQueue.id, String), "-", "")
    query = select(TDSDeadLetterQueue).where(
        or_(func.starts_with(identifier, digits), func.right(identifier, len(digits)) == digits)
    )
    async with session.begin():
        found = (await session.scalars(query.order_by(TDSDeadLetterQueue.id.desc()).limit(_SHOWN + 1))).all()
    if not found:
        raise DeadLetterNotFoundError(f"there is no dead letter {part}; those that are open: tds dead-letter list")
    if len(found) > 1:
        listed = ", ".join(short_id(one.id) for one in found[:_SHOWN])
        raise AmbiguousIdError(f"several dead letters are {part}: {listed}{', ...' if len(found) > _SHOWN else ''}")
    return found[0]
