"""The ledger: who may write an entity (the row lock), and which change is newest (the version guard).

A version is (source's modification time, arrival number). Source times have whole seconds and another clock
than ours, so equal times are told apart by arrival. A change without a time (a delete by webhook) is newer than
everything that arrived before it, whatever any clock says: its arrival becomes a barrier. Against what arrived
after it, it counts as made when it was received. So the order in which changes are applied never matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from app.tds.core.outcomes import ClaimedItem
from app.tds.documents import Document
from app.tds.sql import statement

__all__ = ["EntityState", "Folded", "Key", "ParsedItem", "fold", "lock", "open_rows", "save"]

Key: TypeAlias = tuple[str, str, str]
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EntityState:
    """A ledger row, in the order of the columns that the lock returns."""

    source: str
    entity_type: str
    source_entity_id: str
    local_id: str | None = None
    version_time: datetime | None = None
    version_arrival: int = 0
    barrier_arrival: int = 0
    deleted: bool = False

    @property
    def key(self) -> Key:
        """What the row is found by."""
        return (self.source, self.entity_type, self.source_entity_id)

    def accept(self, item: ClaimedItem, *, delete: bool) -> EntityState | None:
        """The state after this item, or None if something newer has been applied."""
        if item.arrival <= self.barrier_arrival:
            return None
        known = self.version_time or _EARLIEST
        if item.version_time is None:
            if item.arrival < self.version_arrival and known > item.received_at:
                return None
            time, barrier = max(known, item.received_at), item.arrival
        elif (item.version_time, item.arrival) > (known, self.version_arrival):
            time, barrier = item.version_time, self.barrier_arrival
        else:
            return None
        return replace(
            self,
            version_time=time,
            version_arrival=max(item.arrival, self.version_arrival) if item.version_time is None else item.arrival,
            barrier_arrival=barrier,
            deleted=delete,
        )


@dataclass(frozen=True, slots=True)
class ParsedItem:
    """A claimed item with its document; None for a delete."""

    item: ClaimedItem
    document: Document | None


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch's items of one entity, folded: only ``newest`` is applied.

    ``document`` is the newest one, completed with what older ones of the batch know and it does not.
    ``superseded`` are older than what was applied before; ``overtaken`` are newer than that, but not the newest.
    ``newest`` is None where the ledger is newer than all of them.
    """

    state: EntityState
    newest: ClaimedItem | None
    document: Document | None
    superseded: Sequence[ClaimedItem]
    overtaken: Sequence[ClaimedItem]


def fold(state: EntityState, items: Iterable[ParsedItem]) -> Folded:
    """Fold the items of one entity in the order of their arrival."""
    newest: ParsedItem | None = None
    superseded: list[ClaimedItem] = []
    overtaken: list[ClaimedItem] = []
    for parsed in sorted(items, key=lambda candidate: candidate.item.arrival):
        accepted = state.accept(parsed.item, delete=parsed.document is None)
        if accepted is None:
            superseded.append(parsed.item)
            continue
        if newest is not None:
            overtaken.append(newest.item)
            parsed = ParsedItem(parsed.item, _completed(parsed.document, newest.document))  # noqa: PLW2901
        state, newest = accepted, parsed
    item, document = (newest.item, newest.document) if newest else (None, None)
    return Folded(state, item, document, superseded, overtaken)


def _completed(newer: Document | None, older: Document | None) -> Document | None:
    """The newer document, with the fields that only the older one knows."""
    if newer is None or older is None:
        return newer
    known = newer.known()
    return newer.model_copy(update={name: value for name, value in older.known().items() if name not in known})


def group(items: Iterable[ParsedItem]) -> dict[Key, list[ParsedItem]]:
    """Items by entity."""
    grouped: defaultdict[Key, list[ParsedItem]] = defaultdict(list)
    for parsed in items:
        grouped[parsed.item.key].append(parsed)
    return grouped


def _columns(keys: Iterable[Key]) -> dict[str, list[str]]:
    rows = list(keys)
    return {
        "sources": [key[0] for key in rows],
        "entity_types": [key[1] for key in rows],
        "source_entity_ids": [key[2] for key in rows],
    }


async def open_rows(session: AsyncSession, keys: Iterable[Key]) -> None:
    """Make ledger rows for entities that have none."""
    await session.execute(statement("ensure_entities"), _columns(keys))


async def lock(session: AsyncSession, keys: Sequence[Key]) -> dict[Key, EntityState]:
    """Lock the ledger rows of these entities until the end of the transaction, and read them."""
    rows = await session.execute(statement("lock_entities"), _columns(keys))
    states = {state.key: state for state in (EntityState(*row) for row in rows)}
    if missing := [key for key in keys if key not in states]:
        # Rare: a row was purged between enqueue and apply.
        await open_rows(session, missing)
        rows = await session.execute(statement("lock_entities"), _columns(missing))
        states |= {state.key: state for state in (EntityState(*row) for row in rows)}
    return states


async def save(session: AsyncSession, states: Sequence[EntityState]) -> None:
    """Write states back into rows that this transaction has locked."""
    if not states:
        return
    values: Mapping[str, list[object]] = {
        "local_ids": [state.local_id for state in states],
        "version_times": [state.version_time for state in states],
        "version_arrivals": [state.version_arrival for state in states],
        "barrier_arrivals": [state.barrier_arrival for state in states],
        "deleted": [state.deleted for state in states],
    }
    await session.execute(statement("update_entities"), {**_columns(state.key for state in states), **values})
