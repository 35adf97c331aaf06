"""Pause, drain and resume the work on an entity type of a source. What arrives is always kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.errors import InvalidError
from app.tds.core.waiting import wake
from app.tds.models import TDSPause
from app.tds.sql import statement

__all__ = [
    "EVERYTHING",
    "NotPausedError",
    "Paused",
    "end_drains",
    "list_pauses",
    "pause",
    "paused_of",
    "read_paused",
    "resume",
    "sweep",
]

EVERYTHING = "*"
_MODES = ("pause", "drain")


@dataclass(frozen=True, slots=True)
class Paused:
    """What is paused at one moment."""

    pairs: frozenset[tuple[str, str]]

    def covers(self, source: str, entity_type: str) -> bool:
        """Whether the work on this entity type of this source is laid aside."""
        return (source, entity_type) in self.pairs or (source, EVERYTHING) in self.pairs


def paused_of(pairs: str | None) -> Paused:
    """The same from JSON pairs of source and entity type; None is nothing."""
    return Paused(frozenset((source, entity_type) for source, entity_type in orjson.loads(pairs or "[]")))


async def read_paused(session: AsyncSession) -> Paused:
    """What is paused now; a drain is no pause yet."""
    rows = await session.execute(select(TDSPause.source, TDSPause.entity_type).where(TDSPause.mode == "pause"))
    return Paused(frozenset((source, entity_type) for source, entity_type in rows))


class NotPausedError(InvalidError):
    """This entity type of this source is not paused."""

    status = 409


async def pause(
    session: AsyncSession,
    *,
    source: str,
    entity_type: str = EVERYTHING,
    mode: str = "pause",
    actor: str,
    note: str | None = None,
) -> TDSPause:
    """Lay the work aside at once (``pause``), or poll nothing new, work off what waits, then pause (``drain``)."""
    if mode not in _MODES:
        raise InvalidError(f"mode {mode!r} is neither pause nor drain")
    values = {"mode": mode, "note": note, "created_by": actor, "created_at": func.now()}
    upsert = insert(TDSPause).values(source=source, entity_type=entity_type, **values)
    upsert = upsert.on_conflict_do_update(index_elements=[TDSPause.source, TDSPause.entity_type], set_=values)
    async with join_or_begin(session):
        await session.execute(upsert)
        wanted = select(TDSPause).where(TDSPause.source == source, TDSPause.entity_type == entity_type)
        return (await session.execute(wanted, execution_options={"populate_existing": True})).scalar_one()


async def resume(session: AsyncSession, *, source: str, entity_type: str = EVERYTHING) -> int:
    """End a pause or a drain; returns how many items are awake already. The sweep wakes the rest.

    Raises:
        NotPausedError: there is none.
    """
    ended = delete(TDSPause).where(TDSPause.source == source, TDSPause.entity_type == entity_type)
    async with join_or_begin(session):
        if not (await session.execute(ended.returning(TDSPause.source))).all():
            raise NotPausedError
        return await sweep(session)


async def list_pauses(session: AsyncSession) -> Sequence[TDSPause]:
    """All pauses and drains."""
    async with join_or_begin(session):
        return (await session.execute(select(TDSPause).order_by(TDSPause.source, TDSPause.entity_type))).scalars().all()


async def sweep(session: AsyncSession, *, limit: int = 5_000) -> int:
    """Wake up to ``limit`` items whose pause is over; returns how many."""
    waits = list((await session.execute(statement("distinct_pause_waits"))).scalars())
    if not waits:
        return 0
    paused = await read_paused(session)
    over = [one for one in waits if not paused.covers(*one.split(":", 2)[1:])]
    return await wake(session, over, limit=limit)


async def end_drains(session: AsyncSession) -> list[tuple[str, str]]:
    """Make pauses of drains that have nothing left to work off; returns them."""
    return [(row.source, row.entity_type) for row in await session.execute(statement("end_drains"))]
