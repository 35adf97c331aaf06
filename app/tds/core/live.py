"""Queue entries that somebody in this process holds follow what its workers do with them.

``enqueue`` hands out a row; a worker, in a session of its own, ends it. Whoever holds the row would see its old
state until the next select. Workers tell this registry what they committed, and it brings held rows up to date.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy.orm.attributes import set_committed_value

from app.core.clock import utc_now
from app.tds.core.outcomes import ClaimedItem, Dead, Defer, Done, End, GiveBack, Retry
from app.tds.models import TDSSyncQueue
from app.tds.types import EventStatus

__all__ = ["follow", "tell"]

_HELD: Final[WeakValueDictionary[UUID, TDSSyncQueue]] = WeakValueDictionary()


def follow(entry: TDSSyncQueue) -> None:
    """Keep this row up to date for as long as somebody holds it."""
    _HELD[entry.id] = entry


def tell(ends: Iterable[tuple[ClaimedItem, End]]) -> None:
    """These ends have been committed."""
    if not _HELD:
        return
    for item, end in ends:
        if (entry := _HELD.get(item.id)) is not None:
            for name, value in _values(item, end).items():
                set_committed_value(entry, name, value)


def _values(item: ClaimedItem, end: End) -> dict[str, object]:
    match end:
        case Done():
            return {
                "status": EventStatus.COMPLETED,
                "outcome": end.outcome,
                "target_entity_id": end.target_entity_id,
                "completed_at": utc_now(),
            }
        case Retry():
            return {"status": EventStatus.RETRY, "next_retry_at": end.at, "attempts": item.attempts + 1}
        case Defer():
            return {"status": EventStatus.RETRY, "next_retry_at": end.until}
        case Dead():
            return {
                "status": EventStatus.DEAD_LETTER,
                "attempts": item.attempts + end.spent,
                "completed_at": utc_now(),
            }
        case GiveBack():
            return {"status": EventStatus.PENDING}
