"""How fast it goes and how much fails: rollups added up over spans of whole minutes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta, tzinfo
from typing import Final, Literal, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import as_utc
from app.core.errors import InvalidError
from app.tds.monitoring.figures import Point, Rates, Sums, Today
from app.tds.sql import statement

__all__ = ["Step", "midnight", "read_rates", "read_series", "read_sums", "read_today"]

Step: TypeAlias = Literal["minute", "hour"]

_MINUTE: Final = timedelta(minutes=1)
_STEPS: Final[dict[Step, timedelta]] = {"minute": _MINUTE, "hour": timedelta(hours=1)}
_MOST_POINTS: Final = 1_500
_MOST_MINUTES: Final = 24 * 60


def _floor(moment: datetime, step: Step) -> datetime:
    whole = as_utc(moment).replace(second=0, microsecond=0)
    return whole.replace(minute=0) if step == "hour" else whole


def _ceiling(moment: datetime, step: Step) -> datetime:
    floor = _floor(moment, step)
    return floor if floor == moment else floor + _STEPS[step]


async def _now(session: AsyncSession) -> datetime:
    return as_utc((await session.execute(select(func.now()))).scalar_one())


def midnight(now: datetime, zone: tzinfo) -> datetime:
    """The last midnight in this time zone, in UTC."""
    return as_utc(datetime.combine(now.astimezone(zone).date(), time(0), zone))


async def read_sums(session: AsyncSession, *, since: datetime, until: datetime) -> Mapping[str, Sums]:
    """What ended from ``since`` to ``until``, by entity type; both are taken as the whole minutes they lie in.

    However long the span, it reads a row an hour and type, and the minutes of two or three hours at its ends.
    """
    start, end = _floor(since, "minute"), _floor(until, "minute")
    parameters = {
        "since": start,
        "until": end,
        "first_hour": _ceiling(start, "hour"),
        "last_hour": _floor(end, "hour"),
    }
    rows = await session.execute(statement("read_sums"), parameters)
    return {row.entity_type: Sums.of(row) for row in rows}


async def read_rates(session: AsyncSession, minutes: int = 5, *, now: datetime | None = None) -> Rates:
    """The last full ``minutes`` (1 to 1,440), the current one not among them; ``now`` is the database's, if known.

    Raises:
        InvalidError: a number out of range.
    """
    if not 1 <= minutes <= _MOST_MINUTES:
        raise InvalidError(f"minutes must be between 1 and {_MOST_MINUTES}")
    until = _floor(now or await _now(session), "minute")
    since = until - minutes * _MINUTE
    by_type = await read_sums(session, since=since, until=until)
    active = await session.execute(statement("read_active_minutes"), {"since": since, "until": until})
    total = sum(by_type.values(), Sums())
    return Rates(minutes=minutes, active_minutes=active.scalar_one(), total=total, by_type=by_type)


async def read_today(session: AsyncSession, zone: tzinfo, *, now: datetime | None = None) -> Today:
    """What ended since the last midnight in this time zone, this minute included; ``now`` as for `read_rates`."""
    now = now or await _now(session)
    since = midnight(now, zone)
    by_type = await read_sums(session, since=since, until=now + _MINUTE)
    total = sum(by_type.values(), Sums())
    return Today(since=since, completed=total.succeeded, failed=total.failed, dead=total.dead)


async def read_series(
    session: AsyncSession, *, since: datetime, until: datetime, step: Step = "minute", entity_type: str | None = None
) -> list[Point]:
    """A point for every minute or hour (UTC) that lies in or touches the span, oldest first, idle ones included.

    Raises:
        InvalidError: an unknown step, a span that ends before it begins, or one of more than 1,500 points.
    """
    if step not in _STEPS:
        raise InvalidError(f"step {step!r} is neither minute nor hour")
    start, end, width = _floor(since, step), _ceiling(as_utc(until), step), _STEPS[step]
    if end < start:
        raise InvalidError("the span ends before it begins: since must not be later than until")
    if (end - start) / width > _MOST_POINTS:
        raise InvalidError(f"that is more than {_MOST_POINTS} points: take a shorter span, or step=hour")
    parameters = {
        "since": start,
        "until": end,
        "last_hour": _floor(end, "hour"),
        "step": step,
        "entity_type": entity_type,
    }
    rows = {row.at: Sums.of(row) for row in await session.execute(statement("read_series"), parameters)}
    count = int((end - start) / width)
    return [Point(at=at, sums=rows.get(at, Sums())) for at in (start + number * width for number in range(count))]
