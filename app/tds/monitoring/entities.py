"""Entity types: how many are in step, how fresh they are, and how the last day went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import as_utc
from app.tds.core.rollups import UNKNOWN_TYPE
from app.tds.monitoring.depths import PendingByType, by_index, read_pending_by_type
from app.tds.monitoring.figures import EntityFigures, Sums
from app.tds.monitoring.rates import read_sums
from app.tds.sql import statement
from app.tds.types import EntityType

__all__ = ["count_entities", "read_entities"]

_DAY: Final = timedelta(hours=24)


async def read_entities(session: AsyncSession) -> Sequence[EntityFigures]:
    """Every entity type of which anything is known; the ledger is not counted for it.

    ``total_synced`` is exact for what went through the queue; what was changed in the ledger by other means shows after
    the monitor's next count, minutes later. What came in under a type that TDS does not know is ``unknown``.
    """
    now = as_utc((await session.execute(select(func.now()))).scalar_one())
    async with by_index(session):
        rows = {row.entity_type: row for row in await session.execute(statement("read_entities"))}
    day = await read_sums(session, since=now - _DAY, until=now + timedelta(minutes=1))
    pending = await read_pending_by_type(session)
    names = sorted({*rows, *day, *pending.counts})
    figures = (_figures(name, rows.get(name), day.get(name, Sums()), pending) for name in names)
    return [one for one in figures if _is_known(one)]


def _figures(name: str, row: Row[Any] | None, day: Sums, pending: PendingByType) -> EntityFigures:
    return EntityFigures(
        entity_type=name,
        last_sync=row.last_sync if row else None,
        newest_change_at=row.newest_change_at if row else None,
        total_synced=max(0, row.total_synced) if row else 0,
        pending=pending.counts.get(name, 0),
        pending_sampled=pending.sampled,
        failed_last_24h=day.failed,
        success_rate=day.success_rate,
        last_24h=day,
    )


def _is_known(one: EntityFigures) -> bool:
    return bool(one.total_synced or one.pending or one.last_24h.processed or one.last_sync)


async def count_entities(session: AsyncSession) -> None:
    """Count the ledger anew: a scan of it, for one process at a time, now and then."""
    types = [*(entity_type.value for entity_type in EntityType), UNKNOWN_TYPE]
    await session.execute(statement("count_entities"), {"entity_types": types})
