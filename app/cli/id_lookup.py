"""Finding a row by a part of its id."""

from __future__ import annotations

import re
from typing import Final, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import String, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from app.cli.failures import UsageError
from app.cli.terminal import short_id
from app.core.errors import NotFoundError

__all__ = ["AmbiguousIdError", "find_by_id"]

_PART: Final = re.compile(r"[0-9a-f]{6,32}")
_SHOWN: Final = 5


class AmbiguousIdError(UsageError):
    """Several have such an id."""


class _Identified(Protocol):
    id: Mapped[UUID]


T = TypeVar("T", bound=_Identified)


async def find_by_id(session: AsyncSession, model: type[T], part: str, *, what: str, missing: NotFoundError) -> T:
    """The one row whose id begins or ends with ``part``. Ids of one minute begin alike: the end tells them apart.

    Raises:
        UsageError: that is no part of an id, or of several.
        NotFoundError: ``missing``, if it is of none.
    """
    digits = part.strip().lower().replace("-", "")
    if not _PART.fullmatch(digits):
        raise UsageError(f"{part!r} is no id: give 6 hexadecimal digits or more of its beginning or its end")
    identifier = func.replace(cast(model.id, String), "-", "")
    query = select(model).where(
        or_(func.starts_with(identifier, digits), func.right(identifier, len(digits)) == digits)
    )
    async with session.begin():
        found = (await session.scalars(query.order_by(model.id.desc()).limit(_SHOWN + 1))).all()
    if not found:
        raise missing
    if len(found) > 1:
        listed = ", ".join(short_id(one.id) for one in found[:_SHOWN])
        raise AmbiguousIdError(f"several {what} are {part}: {listed}{', ...' if len(found) > _SHOWN else ''}")
    return found[0]
