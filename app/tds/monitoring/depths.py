"""How long the queue is: counted where it is short, sampled where it is long."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import InvalidError
from app.tds.models import TDSQueueSample
from app.tds.monitoring.figures import Depths
from app.tds.sql import statement

__all__ = [
    "COUNTED",
    "PendingByType",
    "by_index",
    "read_depth_series",
    "read_depths",
    "read_pending_by_type",
    "take_sample",
]

COUNTED: Final = 10_000
"""Up to here a count is exact."""

_NAMES: Final = ("pending", "processing", "retry", "retry_ready", "stale", "dead_letter", "inbox")
_STALE_AFTER: Final = timedelta(minutes=1)
"""A lease that has just ended is rescued within seconds: only what nobody rescues is stale."""
_MOST_SAMPLES: Final = 1_500


@asynccontextmanager
async def by_index(session: AsyncSession) -> AsyncGenerator[None]:
    """Let statements read in the order of their index, whatever the statistics say of tables that change this fast."""
    await session.execute(statement("plan_by_index"), {"switch": "off"})
    yield
    await session.execute(statement("plan_by_index"), {"switch": "on"})  # an error's rollback undoes it too


async def read_depths(session: AsyncSession) -> Depths:
    """How long the queue is, at a cost that depends neither on finished rows nor on how much waits."""
    async with by_index(session):
        parameters = {"limit": COUNTED + 1, "stale_after": _STALE_AFTER}
        row = (await session.execute(statement("count_depths"), parameters)).one()
    long = frozenset(name for name in _NAMES if getattr(row, name) > COUNTED or _uncounted(row, name))
    # A sample from before the queue grew long tells less than the count.
    sampled = frozenset(name for name in long if (getattr(row, f"sampled_{name}") or 0) > COUNTED)
    values = {name: getattr(row, f"sampled_{name}" if name in sampled else name) for name in _NAMES}
    return Depths(
        **values,
        oldest_pending_seconds=row.oldest_pending_seconds,
        sampled_at=row.sampled_at,
        sampled=sampled,
        at_least=long - sampled,
    )


def _uncounted(row: Row[Any], name: str) -> bool:
    """Whether the statement has left it to the sample."""
    return row.fresh and getattr(row, f"sampled_{name}") > 2 * (COUNTED + 1)


async def take_sample(session: AsyncSession) -> None:
    """Count everything that waits, however much it is, and keep it: for one process at a time, now and then."""
    async with by_index(session):
        await session.execute(statement("record_sample"), {"stale_after": _STALE_AFTER})


@dataclass(frozen=True, slots=True)
class PendingByType:
    """What waits of each entity type; ``sampled`` where the queue is too long to be counted."""

    counts: Mapping[str, int]
    sampled: bool


async def read_pending_by_type(session: AsyncSession) -> PendingByType:
    """The same for each entity type."""
    async with by_index(session):
        rows = (await session.execute(statement("count_pending_types"), {"limit": COUNTED + 1})).all()
    counted = {row.entity_type: row.pending for row in rows if row.by_type is None}
    sample = next((row for row in rows if row.by_type is not None), None)
    long = sum(counted.values()) > COUNTED
    if sample is not None and (sample.enough or (long and sample.pending > COUNTED)):
        return PendingByType(orjson.loads(sample.by_type), sampled=True)
    return PendingByType(counted, sampled=long)


async def read_depth_series(session: AsyncSession, *, since: datetime, until: datetime) -> Sequence[TDSQueueSample]:
    """The samples between two moments, oldest first: one a minute while a monitor was at work.

    Raises:
        InvalidError: a span of more than 1,500 minutes.
    """
    if until - since > timedelta(minutes=_MOST_SAMPLES):
        raise InvalidError(f"that is more than {_MOST_SAMPLES} minutes: take a shorter span")
    minute = TDSQueueSample.minute
    query = select(TDSQueueSample).where(minute >= since, minute < until).order_by(minute).limit(_MOST_SAMPLES)
    return (await session.execute(query)).scalars().all()
