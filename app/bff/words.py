"""How times, spans and shares are written for a phone: small pure functions, and the field types made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from pydantic import Field, PlainSerializer

__all__ = ["Percentage", "Stamp", "duration_text", "percentage", "stamp_text"]

_WHOLE: Final = 100.0


def stamp_text(moment: datetime) -> str:
    """A moment in UTC to the whole second: ``2025-11-05T10:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration_text(span: timedelta) -> str:
    """A span in whole seconds: ``45s``, ``5m30s``, ``1h2m3s``. Larger units that would be nought are left out."""
    seconds = max(0, int(span.total_seconds()))
    hours, minutes, rest = seconds // 3600, seconds % 3600 // 60, seconds % 60
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def percentage(part: float, whole: float, *, of_nothing: float) -> float:
    """``part`` of ``whole`` in per cent, to one decimal; ``of_nothing`` where there is no whole.

    Less than the whole never reads 100.0, and more than nothing never 0.0: one failure in a million stays visible.
    """
    if whole <= 0:
        return of_nothing
    share = round(min(max(part / whole, 0.0), 1.0) * _WHOLE, 1)
    if share == _WHOLE and part < whole:
        return 99.9
    return 0.1 if share == 0 and part > 0 else share


Stamp: TypeAlias = Annotated[
    datetime,
    PlainSerializer(stamp_text, return_type=str, when_used="json"),
    Field(description="UTC, to the whole second.", json_schema_extra={"format": "date-time"}),
]
Percentage: TypeAlias = Annotated[float, Field(ge=0, le=100, description="Per cent.")]
