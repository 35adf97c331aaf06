"""The end of the event log: told in the order of its positions, without loss and without doubling.

A position is taken before its transaction commits, so the row of a smaller one may appear later. A reader must not pass
such a hole before it is known whether it will ever be filled. Whoever holds a position below a visible row had a
transaction id before the hole was seen: once every transaction older than that moment has ended, what is still missing
will never come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, RowMapping, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Database
from app.core.events.event import DomainEvent
from app.core.events.event_log import RecordedEvent
from app.core.events.models import EventLogEntry

__all__ = ["EVENTS_BELL", "EventTail", "LogBounds"]

EVENTS_BELL: Final = "events"
"""Rung after commits that wrote events, by whoever writes many."""

_FIELDS: Final = (
    "event_id", "event_type", "module", "occurred_at", "aggregate_type", "aggregate_id", "data", "correlation_id",
)  # fmt: skip
_OLDEST_RUNNING: Final = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)
_NEXT_TRANSACTION: Final = cast(cast(func.pg_current_xact_id(), Text), BigInteger)
_COLUMNS: Final[tuple[Any, ...]] = (EventLogEntry.position, *(getattr(EventLogEntry, name) for name in _FIELDS))


@dataclass(frozen=True, slots=True)
class LogBounds:
    """The smallest and the greatest position of the log; None where it is empty."""

    oldest: int | None
    newest: int | None


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Holes below ``position`` stay empty for ever once no transaction before ``transaction`` runs."""

    position: int
    transaction: int


class EventTail:
    """Reads on from where it stands. One for a process: it keeps what it knows about holes between looks."""

    def __init__(self, database: Database, *, batch: int = 500) -> None:
        self._database = database
        self._batch = batch
        self._position: int | None = None
        self._doubt: _Doubt | None = None

    @property
    def position(self) -> int | None:
        """All up to here has been told or will never be; None before the end of the log was found."""
        return self._position

    @property
    def waiting(self) -> bool:
        """Whether it stands before something that a running transaction may still bring: look again soon."""
        return self._doubt is not None

    async def seek_end(self) -> bool:
        """Find the end of the log, and stand there; False while a transaction may still commit something before it.

        Whatever commits after this has returned True is told.
        """
        async with self._database.transaction() as session:
            if self._doubt is None:
                bounds = await self._bounds(session)
                self._doubt = _Doubt(bounds.newest or 0, await _next_transaction(session))
        async with self._database.session() as session:
            oldest = (await session.execute(select(_OLDEST_RUNNING))).scalar_one()
        if oldest < self._doubt.transaction:
            return False
        self._position, self._doubt = self._doubt.position, None
        return True

    async def advance(self) -> list[RecordedEvent]:
        """What came since the last look, oldest first: at most a batch.

        Raises:
            DBAPIError, OSError: the database does not answer; nothing is lost, look again.
        """
        if self._position is None:
            raise RuntimeError("the end of the log has not been found: call seek_end until it is")
        told = await self._look(self._position)
        if self._doubt is None:
            return told
        return told + await self._look(self._position)  # mostly nobody holds the hole any more: no need to wait

    async def between(self, after: int, upto: int, *, limit: int) -> list[RecordedEvent]:
        """Events of positions above ``after``, up to ``upto``, which must not be beyond ``position``."""
        statement = (
            select(*_COLUMNS)
            .where(EventLogEntry.position > after, EventLogEntry.position <= upto)
            .order_by(EventLogEntry.position)
            .limit(limit)
        )
        async with self._database.session() as session:
            return [_recorded(row) for row in (await session.execute(statement)).mappings()]

    async def bounds(self) -> LogBounds:
        """How far back the log goes, and how far on."""
        async with self._database.session() as session:
            return await self._bounds(session)

    async def _bounds(self, session: AsyncSession) -> LogBounds:
        position = EventLogEntry.position
        return LogBounds(*(await session.execute(select(func.min(position), func.max(position)))).one())

    async def _look(self, after: int) -> list[RecordedEvent]:
        statement = (
            select(*_COLUMNS, _OLDEST_RUNNING.label("oldest_running"))
            .where(EventLogEntry.position > after)
            .order_by(EventLogEntry.position)
            .limit(self._batch)
        )
        async with self._database.transaction() as session:
            rows = (await session.execute(statement)).mappings().all()
            told = self._pass(after, rows)
            if len(told) == len(rows):
                self._doubt = None
            elif self._doubt is None or rows[len(told)]["position"] > self._doubt.position:
                self._doubt = _Doubt(rows[-1]["position"], await _next_transaction(session))
        self._position = told[-1].position if told else after
        return told

    def _pass(self, after: int, rows: Sequence[RowMapping]) -> list[RecordedEvent]:
        told: list[RecordedEvent] = []
        for row in rows:
            if row["position"] > after + 1 and not self._stays_empty(row):
                break
            after = row["position"]
            told.append(_recorded(row))
        return told

    def _stays_empty(self, row: RowMapping) -> bool:
        """Whether the hole below this row is known to be one for ever."""
        doubt = self._doubt
        return doubt is not None and row["position"] <= doubt.position and row["oldest_running"] >= doubt.transaction


async def _next_transaction(session: AsyncSession) -> int:
    """A transaction id above all that were given out; its transaction must end with the session's."""
    return (await session.execute(select(_NEXT_TRANSACTION))).scalar_one()


def _recorded(row: RowMapping) -> RecordedEvent:
    return RecordedEvent(position=row["position"], event=DomainEvent(**{name: row[name] for name in _FIELDS}))
