"""From inbox to queue: a source's mapping makes a change of each raw event, or a dead letter that says why not.

One transaction a batch: a crash leaves the events where they were. The pending rows of the inbox are the queue of
this step, so whatever was stored and never queued is found again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.core.errors import TdsError
from app.core.events import event_log
from app.core.ids import new_id
from app.core.telemetry import get_logger
from app.tds.core import finishing, pauses, rollups
from app.tds.core.bisection import Failed, write_in_halves
from app.tds.core.dead_letters import Letter, record_letters
from app.tds.core.enqueueing import Hold, enqueue_all
from app.tds.core.errors import FieldError, MappingError, storable
from app.tds.core.outcomes import ClaimedItem, Dead, End
from app.tds.core.ports import Change, Source, StoredEvent
from app.tds.sql import statement
from app.tds.types import EventStatus, OperationType

__all__ = [
    "OLDEST",
    "InboxEvent",
    "Understood",
    "ValidationReport",
    "bury",
    "queue_events",
    "take",
    "understand",
    "validate_batch",
]

_log = get_logger(__name__)
_WEBHOOK_PRIORITY: Final = 5
_RUN_PRIORITY: Final = 3
_KEPT_PAYLOAD: Final = 1_000_000
_FARTHEST_AHEAD: Final = timedelta(days=1)

OLDEST: Final = UUID(int=0)
"""No event has a smaller id."""


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What became of a batch of raw events; ``held`` are the items that were claimed in the same moment."""

    queued: int = 0
    dead: int = 0
    held: Sequence[ClaimedItem] = ()

    @property
    def taken(self) -> int:
        """How many events were looked at."""
        return self.queued + self.dead


class InboxEvent(Struct, frozen=True, gc=False):
    """A row of the inbox, in the order of the columns that ``claim_inbox`` returns; ``headers`` are JSON."""

    id: UUID
    source: str
    entity_type: str | None
    source_entity_id: str | None
    operation: str | None
    body: bytes
    headers: str
    run_id: UUID | None
    arrival: int
    created_at: datetime
    trace_id: str | None
    paused: str | None


@dataclass(frozen=True, slots=True)
class Understood:
    """Events mapped: ``good`` with the items that would be claimed if they were queued now."""

    good: Sequence[tuple[InboxEvent, ClaimedItem]] = ()
    refused: Sequence[_Refused] = ()

    @property
    def items(self) -> list[ClaimedItem]:
        """What was understood."""
        return [item for _, item in self.good]


async def validate_batch(
    session: AsyncSession,
    sources: Mapping[str, Source],
    *,
    limit: int,
    worker: str | None = None,
    hold: Hold | None = None,
) -> ValidationReport:
    """Validate up to ``limit`` pending events inside the caller's transaction; with ``hold``, claim them too.

    What becomes a dead letter is counted in the rollups of ``worker``.
    """
    understood = understand(await take(session, limit=limit), sources)
    return await queue_events(session, understood, worker=worker, hold=hold)


async def take(session: AsyncSession, *, limit: int, first: UUID = OLDEST) -> Sequence[InboxEvent]:
    """Lock up to ``limit`` pending events, the oldest from the id ``first`` on, until the end of the transaction."""
    rows = await fetch(session, statement("claim_inbox"), {"limit": limit, "first": first})
    return [InboxEvent(*row) for row in rows]


def understand(events: Sequence[InboxEvent], sources: Mapping[str, Source]) -> Understood:
    """Map events by their sources."""
    paused = pauses.paused_of(events[0].paused if events else None)
    mapped = [(event, _map(event, sources, paused)) for event in events]
    return Understood(
        good=[(event, item) for event, item in mapped if isinstance(item, ClaimedItem)],
        refused=[refused for _, refused in mapped if isinstance(refused, _Refused)],
    )


async def queue_events(
    session: AsyncSession, understood: Understood, *, worker: str | None = None, hold: Hold | None = None
) -> ValidationReport:
    """Queue what was understood, and make dead letters of the rest."""
    queued, unstorable = await _enqueue(session, understood.good, hold)
    dead = await bury(session, [*understood.refused, *unstorable], worker)
    return ValidationReport(queued=len(queued), dead=dead, held=queued if hold else ())


@dataclass(frozen=True, slots=True)
class _Refused:
    """An event that is not queued, why, and what could be told of its entity all the same."""

    row: InboxEvent
    dead: Dead
    entity_type: str | None = None
    source_entity_id: str | None = None


def _map(row: InboxEvent, sources: Mapping[str, Source], paused: pauses.Paused) -> ClaimedItem | _Refused:
    source = sources.get(row.source)
    if source is None:
        return _Refused(row, Dead("unknown_source", f"no source named {row.source!r} is configured", spent=0))
    try:
        change = source.map(
            StoredEvent(
                body=row.body,
                headers=orjson.loads(row.headers),
                entity_type=row.entity_type,
                source_entity_id=row.source_entity_id,
                operation=OperationType(row.operation) if row.operation else None,
            )
        )
        _refuse_future(change, row.created_at)
    except MappingError as error:
        dead = Dead(error.reason, error.message[:2_000], error.errors, spent=0)
        return _Refused(row, dead, error.entity_type, error.source_entity_id)
    except Exception as error:  # noqa: BLE001 - a bug of a mapping must cost one event, never the pipeline
        _log.exception("mapping_crashed", event_id=str(row.id), source=row.source)
        return _Refused(row, Dead("mapping_crashed", f"{type(error).__name__}: {error}"[:2_000], spent=0))
    return _item(row, change, paused)


def _refuse_future(change: Change, received_at: datetime) -> None:
    """A time that is far ahead would win against every later change: it is an error, and nobody's clock."""
    if change.version_time is not None and change.version_time > received_at + _FARTHEST_AHEAD:
        error = FieldError(
            "last_modified_time", f"{change.version_time.isoformat()} is in the future", "time_in_future"
        )
        raise MappingError(
            [error],
            code="time_in_future",
            entity_type=change.entity_type,
            source_entity_id=change.source_entity_id,
        )


def _item(row: InboxEvent, change: Change, paused: pauses.Paused) -> ClaimedItem:
    """What a claim would return once this is queued, in a moment at which nothing has happened to it yet."""
    entity_type = change.entity_type.value
    return ClaimedItem(
        id=new_id(),
        lease_token=1,
        source=row.source,
        entity_type=entity_type,
        source_entity_id=change.source_entity_id,
        operation_type=change.operation,
        payload=change.payload.decode(),
        version_time=change.version_time,
        arrival=row.arrival,
        received_at=row.created_at,
        attempts=0,
        lease_losses=0,
        inbox_event_id=row.id,
        run_id=row.run_id,
        dead_letter_id=None,
        priority=_RUN_PRIORITY if row.run_id else _WEBHOOK_PRIORITY,
        trace_id=row.trace_id,
        deferrals=0,
        paused=paused.covers(row.source, entity_type),
        document=change.document,
    )


async def _enqueue(
    session: AsyncSession, good: Sequence[tuple[InboxEvent, ClaimedItem]], hold: Hold | None
) -> tuple[list[ClaimedItem], list[_Refused]]:
    """Queue what was understood; what the database will not take comes back with its reason."""

    async def write(part: Sequence[tuple[InboxEvent, ClaimedItem]]) -> Sequence[ClaimedItem]:
        items = [item for _, item in part]
        await enqueue_all(session, items, hold=hold)
        return items

    results = await write_in_halves(session, good, write)
    queued = [result for result in results if isinstance(result, ClaimedItem)]
    await finishing.end_taken(session, queued, EventStatus.QUEUED)
    return queued, [
        _Refused(row, _not_storable(result), item.entity_type, item.source_entity_id)
        for (row, item), result in zip(good, results, strict=True)
        if isinstance(result, Failed)
    ]


def _not_storable(failed: Failed) -> Dead:
    return Dead("not_storable", str(failed.error)[:2_000], spent=0)


async def bury(
    session: AsyncSession,
    refused: Sequence[_Refused],
    worker: str | None,
    *,
    ends: Sequence[tuple[ClaimedItem, End]] = (),
) -> int:
    """Make dead letters of events that cannot be queued, with all that belongs to it; returns how many.

    Runs are told of these and of ``ends``, what was applied in the same transaction.
    """
    if refused:
        await _make_letters(session, refused, worker)
    completed = await finishing.count_taken(session, ends, [one.row.run_id for one in refused])
    await event_log.record(session, completed)
    return len(refused)


async def _make_letters(session: AsyncSession, refused: Sequence[_Refused], worker: str | None) -> None:
    letters = [_letter(one) for one in refused]
    await event_log.record(session, await record_letters(session, letters))
    learned = {str(one.row.id): _learned(one) for one in refused}
    await finishing.end_inbox(session, [one.row.id for one in refused], EventStatus.DEAD_LETTER, learned=learned)
    await rollups.record_dead(session, (letter.entity_type for letter in letters), worker=worker)


def _learned(refused: _Refused) -> dict[str, Any]:
    errors = [error.as_dict() for error in _errors_of(refused.dead)]
    return {
        "errors": errors,
        "entity_type": _word(refused.entity_type),
        "source_entity_id": _word(refused.source_entity_id),
    }


def _errors_of(dead: Dead) -> Sequence[FieldError]:
    return dead.errors or (FieldError("", dead.reason, dead.code),)


def _letter(refused: _Refused) -> Letter:
    row = refused.row
    return Letter(
        queue_id=None,
        inbox_event_id=row.id,
        run_id=row.run_id,
        source=row.source,
        entity_type=_word(refused.entity_type or row.entity_type) or "unknown",
        source_entity_id=_word(refused.source_entity_id or row.source_entity_id),
        operation=row.operation,
        dead=refused.dead,
        total_attempts=0,
        payload=_readable(row.body),
        version_time=None,
        arrival=row.arrival,
        received_at=row.created_at,
    )


def _word(text: str | None) -> str | None:
    return storable(text)[:200] if text else None


def _readable(body: bytes) -> str | None:
    """The body as JSON that a database can hold, to work on; the bytes themselves stay in the inbox."""
    if len(body) > _KEPT_PAYLOAD:
        return None
    try:
        value = orjson.loads(body)
        text = orjson.dumps(value if isinstance(value, dict) else {"body": value}).decode()
    except (orjson.JSONDecodeError, TdsError, ValueError, TypeError):
        text = orjson.dumps({"text": body.decode("utf-8", "replace")}).decode()
    return text.replace("\\u0000", "\\ufffd")
