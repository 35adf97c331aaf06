"""Moments as Zoho writes them: whole seconds in the organisation's zone, offset without a colon."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["ORG_ZONE", "now", "parse", "seconds_to_midnight", "stamp", "stamp_display"]

ORG_ZONE = timezone(timedelta(hours=3), "AST")
_FORMAT = "%Y-%m-%dT%H:%M:%S%z"
_SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}")


def now() -> datetime:
    """The current moment in the organisation's zone, cut to the second."""
    return datetime.now(UTC).astimezone(ORG_ZONE).replace(microsecond=0)


def stamp(moment: datetime) -> str:
    """``2026-01-31T09:05:00+0300``."""
    return moment.astimezone(ORG_ZONE).strftime(_FORMAT)


def stamp_display(moment: datetime) -> str:
    """``31/01/2026``: the organisation's display format, which clients must not parse."""
    return moment.astimezone(ORG_ZONE).strftime("%d/%m/%Y")


def parse(text: str) -> datetime:
    """Read a query's moment.

    Raises:
        ValueError: not of the one accepted shape (a ``+`` that was not sent as ``%2B`` ends up here).
    """
    if not _SHAPE.fullmatch(text):
        raise ValueError(f"not yyyy-MM-ddTHH:mm:ss+hhmm: {text!r}")
    return datetime.fromisoformat(text)


def seconds_to_midnight(moment: datetime) -> int:
    """Seconds until the organisation's day ends: when the daily quota starts anew."""
    local = moment.astimezone(ORG_ZONE)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight - local).total_seconds())
