"""A domain event: something that happened, in the past tense of its module."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from app.core.clock import as_utc, utc_now
from app.core.errors import InvalidError
from app.core.ids import new_id
from app.core.orm import to_json

__all__ = ["DomainEvent", "EventTypeError"]

_TYPE: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class EventTypeError(InvalidError):
    """An event type is words joined by dots, such as ``tds.entity.create``."""

    def __init__(self, event_type: object) -> None:
        super().__init__(f"{event_type!r} is no event type: it must be words joined by dots, as in tds.entity.create")


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEvent:
    """What happened, to what, when and in whose course. ``data`` holds JSON values and is not changed after the fact.

    ``event_id`` is a UUIDv7; ``module`` is the first word of the type unless given; ``occurred_at`` is aware, in UTC
    (a naive datetime is taken as UTC); ``aggregate_type`` and ``aggregate_id`` name the thing it happened to;
    ``correlation_id`` ties together all that one cause set off.
    """

    event_type: str
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    event_id: UUID = field(default_factory=new_id)
    module: str = ""
    occurred_at: datetime = field(default_factory=utc_now)
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    correlation_id: str | None = None

    def __post_init__(self) -> None:
        if _TYPE.fullmatch(self.event_type) is None:
            raise EventTypeError(self.event_type)
        object.__setattr__(self, "occurred_at", as_utc(self.occurred_at))
        if not self.module:
            object.__setattr__(self, "module", self.event_type.partition(".")[0])

    @property
    def delivery_types(self) -> tuple[str, ...]:
        """The types under which subscribers get it; a subclass may add to its own type."""
        return (self.event_type,)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values: ids and times as text, a Decimal as a string."""
        return {
            "event_id": str(self.event_id),
            "event_type": self.event_type,
            "module": self.module,
            "occurred_at": self.occurred_at.isoformat(),
            "aggregate_type": self.aggregate_type,
            "aggregate_id": self.aggregate_id,
            "data": orjson.loads(to_json(self.data)),
            "correlation_id": self.correlation_id,
        }
