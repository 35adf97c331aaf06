"""The ledger: who may write an entity (the row lock), and which change is newest (the version guard).

A version is (source's modification time, arrival number). Source times have whole seconds and another clock
than ours, so equal times are told apart by arrival. A change without a time (a delete by webhook) is a barrier: it
is newer than everything that arrived before it, whatever any clock says; against what arrived after it, it counts
as made when it was received. The row remembers the newest version and the newest barrier that were ever seen, also
of changes that were not applied, so the order in which changes are worked on never matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.tds.core.errors import RowMissingError
from app.tds.core.outcomes import ClaimedItem
from app.tds.documents import Document
from app.tds.sql import column, statement

__all__ = ["EntityState", "Folded", "Key", "ParsedItem", "fold", "lock", "lock_all", "open_as", "open_rows", "save"]

Key: TypeAlias = tuple[str, str, str]
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class EntityState(Struct, frozen=True, gc=False):
    """A ledger row, in the order of the columns that the lock returns."""

    source: str
    entity_type: str
    source_entity_id: str
    local_id: str | None = None
    version_time: datetime | None = None
    version_arrival: int = 0
    barrier_arrival: int = 0
    deleted: bool = False

    barrier_time: datetime | None = None
    barrier_deleted: bool = False

    @property
    def key(self) -> Key:
        """What the row is found by."""
        return (self.source, self.entity_type, self.source_entity_id)

    @property
    def barred(self) -> bool:
        """Whether the barrier is newer than the newest version."""
        if self.barrier_time is None:
            return False
        return self.barrier_arrival > self.version_arrival or (self.version_time or _EARLIEST) <= self.barrier_time

    def seen(self, item: ClaimedItem, *, delete: bool) -> EntityState:
        """The state that knows of this change, whether or not it is to be applied."""
        if item.version_time is None:
            if item.arrival <= self.barrier_arrival:
                return self
            time = max(self.barrier_time or _EARLIEST, item.received_at)
            return replace(self, barrier_arrival=item.arrival, barrier_time=time, barrier_deleted=delete)
        if (item.version_time, item.arrival) > (self.version_time or _EARLIEST, self.version_arrival):
            return replace(self, version_time=item.version_time, version_arrival=item.arrival)
        return self

    def accept(self, item: ClaimedItem, *, delete: bool) -> EntityState | None:
        """The state after this change is applied, or None if something newer is known."""
        state = self.seen(item, delete=delete)
        if state is self or state.barred is (item.version_time is not None):
            return None
        return replace(state, deleted=delete)


class ParsedItem(Struct, frozen=True, gc=False):
    """A claimed item with its document; None for a delete."""

    item: ClaimedItem
    document: Document | None


class Folded(Struct, frozen=True, gc=False):
    """A batch's items of one entity, folded: only ``newest`` is applied, and leads to ``state``.

    ``document`` is the newest one, completed with what older ones of the batch know and it does not; ``fresh`` says
    that a delete lies between it and the row. ``superseded`` are older than what was applied before; ``overtaken``
    are newer than that, but not the newest. ``newest`` is None where ``state`` is newer than all of them.
    """

    before: EntityState
    state: EntityState
    newest: ClaimedItem | None
    document: Document | None
    fresh: bool
    superseded: Sequence[ClaimedItem]
    overtaken: Sequence[ClaimedItem]


def fold(before: EntityState, items: Iterable[ParsedItem]) -> Folded:
    """Fold the items of one entity in the order of their arrival."""
    state: EntityState = before
    newest: ParsedItem | None = None
    fresh = False
    ordered = sorted(items, key=lambda candidate: candidate.item.arrival)
    for parsed in ordered:
        accepted = state.accept(parsed.item, delete=parsed.document is None)
        if accepted is not None:
            fresh = fresh or (newest is not None and newest.document is None)
            newest = ParsedItem(parsed.item, _completed(parsed.document, newest and newest.document))
            state = accepted
            continue
        state = state.seen(parsed.item, delete=parsed.document is None)
        if state.barred and state.barrier_deleted and not state.deleted:
            # It is old itself, but it shows that what was applied since the delete is older than the delete.
            state, newest = replace(state, deleted=True), ParsedItem(parsed.item, None)
    item, document = (newest.item, newest.document) if newest else (None, None)
    others = [parsed for parsed in ordered if parsed.item is not item]
    overtaken = [one.item for one in others if before.accept(one.item, delete=one.document is None) is not None]
    superseded = [one.item for one in others if one.item not in overtaken]
    return Folded(before, state, item, document, fresh and document is not None, superseded, overtaken)


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
    await fetch(session, statement("ensure_entities"), _columns(keys))


async def open_as(session: AsyncSession, states: Sequence[EntityState]) -> set[Key]:
    """Make ledger rows that say already what is about to be applied, for those entities that have none; returns which.

    All are locked, in one order, and who else is making one of them is waited for: an entity has one writer from its
    first change on.
    """
    rows = await fetch(session, statement("open_entities"), _whole(states))
    return {(source, entity_type, source_entity_id) for source, entity_type, source_entity_id in rows}


async def lock(session: AsyncSession, keys: Sequence[Key]) -> dict[Key, EntityState]:
    """Lock the ledger rows of these entities until the end of the transaction, and read them."""
    if not keys:
        return {}
    states = await _lock(session, keys)
    if missing := [key for key in keys if key not in states]:
        # Rare: a row was purged between enqueue and apply, or what was taken from the inbox cannot be used.
        await open_rows(session, missing)
        states |= await _lock(session, missing)
    return states


async def lock_all(session: AsyncSession, keys: Collection[Key]) -> dict[Key, EntityState] | None:
    """The same for entities that are thought to be known: None, and nothing is locked, unless all have rows."""
    states = await _lock(session, keys, all_or_none=True)
    return states if len(states) == len(keys) else None


async def _lock(session: AsyncSession, keys: Iterable[Key], *, all_or_none: bool = False) -> dict[Key, EntityState]:
    rows = await fetch(session, statement("lock_entities"), {**_columns(keys), "all": all_or_none})
    return {state.key: state for state in (EntityState(*row) for row in rows)}


async def save(session: AsyncSession, states: Sequence[EntityState]) -> None:
    """Write states back into rows that this transaction has locked.

    Raises:
        RowMissingError: one of them is not there.
    """
    if states:
        rows = await fetch(session, statement("save_entities"), _whole(states))
        if len(rows) != len(states):
            raise RowMissingError(f"{len(states) - len(rows)} of {len(states)} ledger rows could not be written")


def _whole(states: Sequence[EntityState]) -> dict[str, object]:
    return {
        **_columns(state.key for state in states),
        "local_ids": column([state.local_id for state in states]),
        "version_times": column([state.version_time for state in states]),
        "version_arrivals": [state.version_arrival for state in states],
        "barrier_arrivals": [state.barrier_arrival for state in states],
        "barrier_times": column([state.barrier_time for state in states]),
        "barrier_deleted": [state.barrier_deleted for state in states],
        "deleted": [state.deleted for state in states],
    }
