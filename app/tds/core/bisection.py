"""One bad item fails alone (P6): a write that fails is undone to a savepoint and tried again in halves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.tds.core.retry import is_batch_error

__all__ = ["Failed", "write_in_halves"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Failed:
    """The error that one item causes when it is written alone."""

    error: Exception


async def write_in_halves(
    session: AsyncSession, items: Sequence[T], write: Callable[[Sequence[T]], Awaitable[Sequence[R]]]
) -> list[R | Failed]:
    """Write ``items`` together; on an error, halve until the bad ones stand alone. Results in order.

    Raises:
        Exception: an error of the connection or the transaction, which no splitting can mend.
    """
    if not items:
        return []
    try:
        async with session.begin_nested():
            return list(await write(items))
    except Exception as error:
        if is_batch_error(error):
            raise
        if len(items) == 1:
            return [Failed(error)]
    middle = len(items) // 2
    return [
        *await write_in_halves(session, items[:middle], write),
        *await write_in_halves(session, items[middle:], write),
    ]
