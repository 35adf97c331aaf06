"""Workers and processes, and whether they live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.tds.monitoring.figures import Process, WorkerRow
from app.tds.sql import statement

__all__ = ["LOST_AFTER_SECONDS", "read_processes", "read_workers"]

LOST_AFTER_SECONDS: Final = 45.0
_AGE: Final = timedelta(days=1)
"""Who was last heard of before that is history."""
_MOST: Final = 1_000


async def read_workers(session: AsyncSession, *, lost_after: float = LOST_AFTER_SECONDS) -> Sequence[WorkerRow]:
    """The workers of the last day, at most 1,000, with their last heartbeat and whether they live."""
    parameters = {"age": _AGE, "lost_after": timedelta(seconds=lost_after), "limit": _MOST}
    rows = await session.execute(statement("read_workers"), parameters)
    names = [one.name for one in fields(WorkerRow)]
    return [WorkerRow(**{name: getattr(row, name) for name in names}) for row in rows]


async def read_processes(session: AsyncSession) -> Sequence[Process]:
    """The processes of the last day, those heard of last first."""
    rows = await session.execute(statement("read_processes"), {"age": _AGE, "limit": _MOST})
    names = [one.name for one in fields(Process)]
    return [Process(**{name: getattr(row, name) for name in names}) for row in rows]
