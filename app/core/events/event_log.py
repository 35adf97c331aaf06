"""The event log: every domain event, written in the transaction that caused it, readable in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.core.events.after_commit import publish_after_commit
from app.core.events.event import DomainEvent
from app.core.events.event_bus import EventBus, event_bus
from app.core.events.models import EventLogEntry
from app.core.orm import to_json

__all__ = ["RecordedEvent", "read", "record"]

_INSERT: Final = text("""
    INSERT INTO event_log
        (event_id, event_type, module, occurred_at, aggregate_type, aggregate_id, data, correlation_id)
    SELECT event_id, event_type, module, occurred_at, aggregate_type, aggregate_id, CAST(data AS jsonb), correlation_id
    FROM unnest(
        CAST(:event_id AS uuid[]), CAST(:event_type AS text[]), CAST(:module AS text[]),
        CAST(:occurred_at AS timestamptz[]), CAST(:aggregate_type AS text[]), CAST(:aggregate_id AS text[]),
        CAST(:data AS text[]), CAST(:correlation_id AS text[])
    ) AS event (event_id, event_type, module, occurred_at, aggregate_type, aggregate_id, data, correlation_id)
""")
"""One statement however many events; arrays, so that its text, and with it its plan, is always the same."""

_PLAIN: Final = ("event_id", "event_type", "module", "occurred_at", "aggregate_type", "aggregate_id", "correlation_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event of the log. Positions grow in the order in which a reader may pass them, with holes."""

    position: int
    event: DomainEvent


async def record(session: AsyncSession, events: Sequence[DomainEvent], *, bus: EventBus = event_bus) -> None:
    """Write events inside the session's transaction, and tell the bus of them once it is committed.

    If it is rolled back, or the savepoint that this was called in, nobody ever hears of them.
    """
    if not events:
        return
    columns: dict[str, Any] = {name: [getattr(one, name) for one in events] for name in _PLAIN}
    await fetch(session, _INSERT, columns | {"data": [to_json(one.data) for one in events]})
    publish_after_commit(session.sync_session, tuple(events), bus)


async def read(
    session: AsyncSession, *, after_position: int = 0, limit: int = 100, event_types: Sequence[str] | None = None
) -> list[RecordedEvent]:
    """The events after a position, oldest first; of the given types only, if any are given.

    An event is shown only when every transaction that began to write before it has ended; so a transaction does not
    see its own events here. That is for looking: a transaction that began to write later, and took a smaller position
    all the same, may still be open. Who must miss nothing reads with `app.core.events.tail.EventTail`.
    """
    rows = await session.execute(_after(after_position, limit, event_types))
    return [_recorded(row) for row in rows.mappings()]


def _after(position: int, limit: int, event_types: Sequence[str] | None) -> Select[*tuple[Any, ...]]:
    entry = EventLogEntry
    columns: list[Any] = [entry.position, entry.data, *(getattr(entry, name) for name in _PLAIN)]
    statement = (
        select(*columns)
        .where(entry.position > position, entry.xid < func.pg_snapshot_xmin(func.pg_current_snapshot()))
        .order_by(entry.position)
        .limit(limit)
    )
    return statement if event_types is None else statement.where(entry.event_type.in_(event_types))


def _recorded(row: RowMapping) -> RecordedEvent:
    values = {str(name): value for name, value in row.items()}
    return RecordedEvent(position=values.pop("position"), event=DomainEvent(**values))
