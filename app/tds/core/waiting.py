"""What a queue item can wait for: another entity, or the end of a pause. It spends no attempts meanwhile (P8).

Whoever makes the awaited thing come true wakes the item in the same transaction. A wake that crosses the wait
(each transaction not yet seeing the other) is made good by time: a wait for an entity ends by itself, and sweeping
ends waits for pauses that are over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.tds.core.ledger import Folded, Key
from app.tds.core.outcomes import ClaimedItem, Dead, Defer
from app.tds.sql import statement

__all__ = ["MissingParents", "entity_of", "for_entity", "for_pause", "park", "resolve", "wake"]

_FOREVER: Final = timedelta(days=36_500)
_FIRST_WAIT: Final = 5.0
_LONGEST_WAIT: Final = 300.0
_WAKE_LIMIT: Final = 1_000


def for_entity(key: Key) -> str:
    """Waits until this entity exists locally."""
    return "entity:" + ":".join(key)


def entity_of(wait: str) -> Key:
    """The entity that a wait for an entity names."""
    _, source, entity_type, source_entity_id = wait.split(":", 3)
    return (source, entity_type, source_entity_id)


def for_pause(source: str, entity_type: str) -> str:
    """Waits until this entity type of this source is resumed."""
    return f"pause:{source}:{entity_type}"


def park(item: ClaimedItem, now: datetime) -> Defer:
    """Lay a paused item aside."""
    return Defer(now + _FOREVER, "paused", "its entity type is paused", for_pause(item.source, item.entity_type))


@dataclass(frozen=True, slots=True)
class MissingParents:
    """How long a child waits for its parent before it is given up."""

    patience: timedelta = timedelta(hours=24)

    def decide(self, item: ClaimedItem, missing: Key, now: datetime) -> Defer | Dead:
        """Wait for the parent, each time longer, up to five minutes; after ``patience`` give up."""
        what = f"the {missing[1]} {missing[2]} that it refers to is not here"
        if now - item.received_at > self.patience:
            return Dead("missing_parent", f"{what}, and has not come for {self.patience}", spent=0)
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(item.deferrals, 10))
        return Defer(now + timedelta(seconds=wait), "missing_parent", what, for_entity(missing))


async def resolve(session: AsyncSession, group: Sequence[Folded]) -> dict[Key, str]:
    """Local ids of the entities that these changes refer to, as far as they exist; no statement if none refers."""
    keys = {key for folded in group for key in wanted(folded).values()}
    if not keys:
        return {}
    columns = list(zip(*keys, strict=True))
    parameters = {
        "sources": list(columns[0]),
        "entity_types": list(columns[1]),
        "source_entity_ids": list(columns[2]),
    }
    rows = await fetch(session, statement("resolve_references"), parameters)
    return {(row.source, row.entity_type, row.source_entity_id): row.local_id for row in rows}


def wanted(folded: Folded) -> dict[str, Key]:
    """The entities that a change refers to, by field."""
    if folded.document is None:
        return {}
    source = folded.state.source
    return {
        reference.field: (source, reference.entity_type.value, reference.source_entity_id)
        for reference in folded.document.references()
    }


async def wake(session: AsyncSession, waits: Sequence[str], *, limit: int = _WAKE_LIMIT) -> int:
    """Wake up to ``limit`` items that wait for one of these; returns how many."""
    if not waits:
        return 0
    rows = await fetch(session, statement("wake"), {"waits_for": list(waits), "limit": limit})
    return len(rows)
