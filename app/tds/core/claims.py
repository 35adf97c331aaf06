"""Leases on queue items: taking, holding, giving back, and what becomes of a lost one.

Every write on a claimed item checks worker, token and lease end in the database, on the database's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import utc_now
from app.core.driver import fetch
from app.tds.core.outcomes import ClaimedItem
from app.tds.sql import statement
from app.tds.types import OperationType

__all__ = ["Held", "claim", "claim_one", "claim_poison", "give_back", "guard", "hold", "newest_arrival", "rescue"]

_OLDEST_SHARE = 10
"""One in so many places of a batch goes to the oldest item, whatever its priority."""
_DUE_SHARE = 2
"""Retries that are due take at most one place in so many."""


@dataclass(frozen=True, slots=True)
class Held:
    """The items under lock, and the database's time: a worker's own clock decides nothing."""

    items: Sequence[ClaimedItem]
    now: datetime


def _item(row: Row[Any]) -> ClaimedItem:
    values = list(row)
    values[5] = OperationType(values[5])
    return ClaimedItem(*values)


def _tokens(items: Sequence[ClaimedItem]) -> dict[str, object]:
    return {
        "ids": [item.id for item in items],
        "tokens": orjson.dumps({str(item.id): item.lease_token for item in items}).decode(),
    }


async def guard(session: AsyncSession, *, lease: float) -> datetime:
    """Begin a batch's transaction: if the process freezes in it, the server ends it within the lease; and what is
    pending is found by its index, whatever the statistics say. Returns the database's time.
    """
    idle = f"{max(1, int(lease * 1000))}ms"
    return (await session.execute(statement("guard"), {"idle": idle, "lock": idle})).one().now


async def newest_arrival(session: AsyncSession) -> int:
    """The newest arrival number that was given away: what is above it has arrived since."""
    return (
        await session.execute(text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tds_arrival_seq"))
    ).scalar_one()


async def claim(session: AsyncSession, *, worker: str, limit: int, lease: float) -> list[ClaimedItem]:
    """Claim up to ``limit`` items for ``lease`` seconds: due retries, the oldest, the most urgent."""
    parameters = {
        "worker": worker,
        "lease": timedelta(seconds=lease),
        "limit": limit,
        "oldest": max(min(1, limit - 1), limit // _OLDEST_SHARE),
        "due": max(1, limit // _DUE_SHARE),
    }
    rows = await fetch(session, statement("claim"), parameters)
    return [_item(row) for row in rows]


async def claim_one(session: AsyncSession, queue_id: UUID, *, worker: str, lease: float) -> ClaimedItem | None:
    """Claim this item, due or not; None if it is final or somebody else's."""
    parameters = {"id": queue_id, "worker": worker, "lease": timedelta(seconds=lease)}
    row = (await session.execute(statement("claim_one"), parameters)).one_or_none()
    return None if row is None else _item(row)


async def hold(session: AsyncSession, items: Sequence[ClaimedItem], *, worker: str) -> Held:
    """Lock those items whose lease the worker still has: nothing may be written of any other."""
    rows = await fetch(session, statement("lock_items"), {**_tokens(items), "worker": worker})
    held = {row.id for row in rows}
    return Held([item for item in items if item.id in held], rows[0].now if rows else utc_now())


async def give_back(session: AsyncSession, items: Sequence[ClaimedItem], *, worker: str) -> None:
    """Return items untouched to the queue, where the worker still holds them."""
    await session.execute(statement("give_back"), {**_tokens(items), "worker": worker})


async def rescue(session: AsyncSession, *, quarantine_after: int, limit: int = 1_000) -> list[UUID]:
    """Return items of lost leases to the queue; returns their ids."""
    rows = await session.execute(statement("rescue"), {"quarantine_after": quarantine_after, "limit": limit})
    return list(rows.scalars())


async def claim_poison(
    session: AsyncSession, *, worker: str, quarantine_after: int, lease: float, limit: int = 100
) -> list[ClaimedItem]:
    """Claim items that have taken ``quarantine_after`` workers with them."""
    parameters = {
        "worker": worker,
        "quarantine_after": quarantine_after,
        "lease": timedelta(seconds=lease),
        "limit": limit,
    }
    return [_item(row) for row in await session.execute(statement("claim_poison"), parameters)]
