"""From inbox to queue: a source's mapping makes a change of each raw event, or a dead letter that says why not.

One transaction a batch: a crash leaves the events where they were. The pending rows of the inbox are the queue of
this step, so whatever was stored and never queued is found again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import TdsError
from app.core.events import event_log
from app.core.events.event import DomainEvent
from app.core.telemetry import get_logger
from app.tds.core import finishing, pauses, rollups
from app.tds.core.bisection import Failed, write_in_halves
from app.tds.core.dead_letters import Letter, record_letters
from app.tds.core.enqueueing import Hold, QueueEntry, enqueue_all
from app.tds.core.errors import FieldError, MappingError, storable
from app.tds.core.outcomes import ClaimedItem, Dead
from app.tds.core.ports import Change, Source, StoredEvent
from app.tds.sql import statement
from app.tds.types import EventStatus, OperationType

__all__ = ["ValidationReport", "validate_batch"]

_log = get_logger(__name__)
_WEBHOOK_PRIORITY: Final = 5
_RUN_PRIORITY: Final = 3
_KEPT_PAYLOAD: Final = 1_000_000
_FARTHEST_AHEAD: Final = timedelta(days=1)


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
    rows = (await session.execute(statement("claim_inbox"), {"limit": limit})).all()
    if not rows:
        return ValidationReport()
    mapped = [(row, _map(row, sources)) for row in rows]
    good = [(row, change) for row, change in mapped if isinstance(change, Change)]
    bad = [refused for _, refused in mapped if isinstance(refused, _Refused)]
    queued, unstorable = await _enqueue(session, good, hold)
    bad += unstorable
    events = await _bury(session, bad, worker)
    await event_log.record(session, events)
    held = await _held(session, queued) if hold else ()
    return ValidationReport(queued=len(queued), dead=len(bad), held=held)


class _Queued(NamedTuple):
    """An event that became a queue row."""

    entry: QueueEntry
    change: Change


@dataclass(frozen=True, slots=True)
class _Refused:
    """An event that is not queued, why, and what could be told of its entity all the same."""

    row: Row[Any]
    dead: Dead
    entity_type: str | None = None
    source_entity_id: str | None = None


def _map(row: Row[Any], sources: Mapping[str, Source]) -> Change | _Refused:
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
    return change


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


def _entry(row: Row[Any], change: Change) -> QueueEntry:
    return QueueEntry(
        source=row.source,
        entity_type=change.entity_type.value,
        source_entity_id=change.source_entity_id,
        operation_type=change.operation.value,
        payload=change.payload.decode(),
        version_time=change.version_time,
        arrival=row.arrival,
        received_at=row.created_at,
        priority=_RUN_PRIORITY if row.run_id else _WEBHOOK_PRIORITY,
        inbox_event_id=row.id,
        run_id=row.run_id,
        trace_id=row.trace_id,
    )


async def _enqueue(
    session: AsyncSession, good: Sequence[tuple[Row[Any], Change]], hold: Hold | None
) -> tuple[list[_Queued], list[_Refused]]:
    """Queue what was understood; what the database will not take comes back with its reason."""

    async def write(part: Sequence[tuple[Row[Any], Change]]) -> Sequence[QueueEntry]:
        entries = [_entry(row, change) for row, change in part]
        await enqueue_all(session, entries, hold=hold)
        return entries

    results = await write_in_halves(session, good, write)
    pairs = list(zip(good, results, strict=True))
    queued = [_Queued(entry, change) for (_, change), entry in pairs if isinstance(entry, QueueEntry)]
    learned = {
        str(entry.inbox_event_id): {
            "entity_type": entry.entity_type,
            "source_entity_id": entry.source_entity_id,
            "operation": entry.operation_type,
        }
        for entry, _ in queued
    }
    ids = [entry.inbox_event_id for entry, _ in queued if entry.inbox_event_id]
    await finishing.end_inbox(session, ids, EventStatus.QUEUED, learned=learned)
    return queued, [
        _Refused(
            row, Dead("not_storable", str(result.error)[:2_000], spent=0), change.entity_type, change.source_entity_id
        )
        for (row, change), result in pairs
        if isinstance(result, Failed)
    ]


async def _held(session: AsyncSession, queued: Sequence[_Queued]) -> list[ClaimedItem]:
    paused = await pauses.read_paused(session)
    return [_item(entry, change, paused=paused.covers(entry.source, entry.entity_type)) for entry, change in queued]


def _item(entry: QueueEntry, change: Change, *, paused: bool) -> ClaimedItem:
    """What a claim of this entry would return, in a moment at which nothing has happened to it yet."""
    assert entry.arrival is not None  # noqa: S101 - it comes from the inbox, which numbers what arrives
    assert entry.received_at is not None  # noqa: S101 - the same
    return ClaimedItem(
        id=entry.id,
        lease_token=1,
        source=entry.source,
        entity_type=entry.entity_type,
        source_entity_id=entry.source_entity_id,
        operation_type=change.operation,
        payload=entry.payload,
        version_time=entry.version_time,
        arrival=entry.arrival,
        received_at=entry.received_at,
        attempts=0,
        lease_losses=0,
        inbox_event_id=entry.inbox_event_id,
        run_id=entry.run_id,
        dead_letter_id=None,
        priority=entry.priority,
        trace_id=entry.trace_id,
        deferrals=0,
        paused=paused,
        document=change.document,
    )


async def _bury(session: AsyncSession, bad: Sequence[_Refused], worker: str | None) -> list[DomainEvent]:
    if not bad:
        return []
    letters = [_letter(refused) for refused in bad]
    events: list[DomainEvent] = [*await record_letters(session, letters)]
    learned = {str(refused.row.id): _learned(refused) for refused in bad}
    ids = [refused.row.id for refused in bad]
    await finishing.end_inbox(session, ids, EventStatus.DEAD_LETTER, learned=learned)
    await rollups.record_dead(session, (letter.entity_type for letter in letters), worker=worker)
    return events + await finishing.count_runs(session, ((refused.row.run_id, "failed") for refused in bad))


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
