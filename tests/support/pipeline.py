"""Builders and stand-ins for tests of the pipeline: items, a source and a target that fail when told to."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import QueueSettings
from app.core.database import Database
from app.core.ids import new_id
from app.tds.core import inbox
from app.tds.core.apply import Applier
from app.tds.core.enqueueing import QueueEntry, enqueue_all
from app.tds.core.errors import FieldError, MappingError
from app.tds.core.inbox import Receipt
from app.tds.core.outcomes import ClaimedItem
from app.tds.core.ports import Applied, Assignment, Change, Delivery, Page, RawRecord, Rejected, StoredEvent, Target
from app.tds.core.retry import RetryPolicy
from app.tds.core.validation import ValidationReport, validate_batch
from app.tds.targets.erp import ErpTarget, erp_targets
from app.tds.types import EntityType, OperationType
from app.tds.workers.worker import SyncWorker

__all__ = [
    "NOW",
    "QUICK",
    "TIME",
    "FakeSource",
    "FakeTarget",
    "applier",
    "body",
    "change",
    "claimed",
    "drain",
    "enqueue",
    "eventually",
    "execute",
    "expire_leases",
    "item_of",
    "records",
    "rows",
    "snapshot",
    "statements",
    "store",
    "validate",
    "value",
    "worker",
]

TIME: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""A source's modification time; add minutes for newer ones."""

QUICK: Final = QueueSettings(lease_seconds=2, poll_seconds=0.05, run_lease_seconds=2, quarantine_after=10)
"""Settings for loops that nobody wants to wait for."""

NOW: Final = RetryPolicy(max_attempts=3, base=0.0, cap=0.0, jitter=0.0)
"""A policy whose retries are due at once."""

TABLES: Final = (
    "erp_products",
    "erp_customers",
    "erp_customer_addresses",
    "erp_contact_persons",
    "tds_entities",
    "tds_audit_trail",
    "tds_dead_letter_queue",
    "tds_inbox_events",
    "tds_sync_runs",
    "event_log",
)
"""Whatever an apply may write, except the queue, whose leases move on their own."""

_ARRIVALS = count(1)


def change(source_entity_id: str, document: Mapping[str, Any] | None = None, **more: Any) -> QueueEntry:
    """A change of a product; None as the document deletes it. ``minutes`` counts from ``TIME``."""
    minutes = more.pop("minutes", None)
    if minutes is not None:
        more["version_time"] = TIME + timedelta(minutes=minutes)
    more.setdefault("operation_type", "delete" if document is None else "upsert")
    more.setdefault("entity_type", "product")
    more.setdefault("source", "zoho")
    return QueueEntry(source_entity_id=source_entity_id, payload=json.dumps(document or {}), **more)


def claimed(source_entity_id: str = "1", **more: Any) -> ClaimedItem:
    """A queue item under lease, without a database."""
    values: dict[str, Any] = {
        "id": new_id(),
        "lease_token": 1,
        "source": "zoho",
        "entity_type": "product",
        "source_entity_id": source_entity_id,
        "operation_type": OperationType.UPSERT,
        "payload": "{}",
        "version_time": None,
        "arrival": next(_ARRIVALS),
        "received_at": TIME,
        "attempts": 0,
        "lease_losses": 0,
        "inbox_event_id": None,
        "run_id": None,
        "dead_letter_id": None,
        "priority": 5,
        "trace_id": None,
        "deferrals": 0,
        "paused": False,
    }
    return ClaimedItem(**(values | more))


def item_of(entry: QueueEntry) -> ClaimedItem:
    """What the mapping makes of an event, where it would be queued as ``entry``."""
    values = {name: getattr(entry, name, None) for name in ClaimedItem.__struct_fields__}
    given = {name: given for name, given in values.items() if given is not None}
    return claimed(**(given | {"operation_type": OperationType(entry.operation_type)}))


async def enqueue(database: Database, *changes: QueueEntry) -> list[UUID]:
    """Put changes into the queue; their ids."""
    async with database.transaction() as session:
        await enqueue_all(session, changes)
    return [one.id for one in changes]


def applier(target: FakeTarget | None = None, policy: RetryPolicy | None = None) -> Applier:
    """How items are applied: to the ERP, or to a target that fails when told to."""
    return Applier(target.targets() if target else erp_targets(), policy=policy or RetryPolicy())


def worker(
    database: Database, target: FakeTarget | None = None, *, policy: RetryPolicy | None = None, **more: Any
) -> SyncWorker:
    """A worker with transactions of its own; ``settings`` and ``name`` as it takes them."""
    return SyncWorker(database=database, applier=applier(target, policy), **more)


async def drain(database: Database, target: FakeTarget | None = None, **more: Any) -> SyncWorker:
    """Process batches until a claim finds nothing; the worker that did."""
    busy = worker(database, target, **more)
    while (await busy.process_batch()).ends:
        pass
    return busy


async def rows(database: Database, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """All rows of a statement."""
    async with database.transaction() as session:
        return [dict(row) for row in (await session.execute(text(sql), parameters)).mappings()]


async def value(database: Database, sql: str, **parameters: Any) -> Any:
    """The first column of the first row."""
    async with database.transaction() as session:
        return await session.scalar(text(sql), parameters)


async def execute(database: Database, *sqls: str) -> None:
    """Run statements in one transaction."""
    async with database.transaction() as session:
        for sql in sqls:
            await session.execute(text(sql))


async def snapshot(database: Database) -> dict[str, list[str]]:
    """Every row of every table that an apply may write, as text."""
    async with database.transaction() as session:
        return {
            table: list((await session.execute(text(f"SELECT t::text FROM {table} AS t ORDER BY 1"))).scalars())
            for table in TABLES
        }


async def expire_leases(database: Database) -> None:
    """As if every worker had been gone for a minute."""
    await execute(
        database, "UPDATE tds_sync_queue SET lock_expires_at = now() - interval '1 minute' WHERE status = 'processing'"
    )


@contextmanager
def statements(database: Database) -> Generator[list[str]]:
    """A list that fills with the statements sent, those that open, end and nest transactions left out."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        sent.append(arguments[2])

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Ask until it is so; a test fails if it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - it is the database that is asked
            await asyncio.sleep(0.02)


# ------------------------------------------------------------------------------------------------ target


@dataclass(slots=True)
class FakeTarget:
    """The ERP's own target, which fails where it is told to, after it has written.

    ``failing`` holds errors by source id: they are used up one by one; ``always`` is never used up. ``sql`` is run for
    a source id, so that the database itself may refuse. ``rejecting`` names ids whose change breaks a rule.
    """

    failing: dict[str, deque[Exception]] = field(default_factory=dict[str, deque[Exception]])
    always: dict[str, Exception] = field(default_factory=dict[str, Exception])
    sql: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict[str, tuple[str, dict[str, Any]]])
    rejecting: set[str] = field(default_factory=set[str])
    before: Callable[[Sequence[Assignment]], Awaitable[None]] | None = None
    batches: list[list[str]] = field(default_factory=list[list[str]])

    async def apply(
        self, session: AsyncSession, entity_type: EntityType, assignments: Sequence[Assignment]
    ) -> Sequence[Applied | Rejected]:
        """Write, then fail."""
        self.batches.append([one.source_entity_id for one in assignments])
        if self.before is not None:
            await self.before(assignments)
        taken = [one for one in assignments if one.source_entity_id not in self.rejecting]
        names = [one.source_entity_id for one in taken]
        written = dict(zip(names, await ErpTarget().apply(session, entity_type, taken), strict=True))
        for one in assignments:
            await self._fail(session, one.source_entity_id)
        rejected = Rejected(code="rule", errors=[FieldError("name", "breaks a rule", "rule")])
        return [written.get(one.source_entity_id, rejected) for one in assignments]

    async def _fail(self, session: AsyncSession, source_entity_id: str) -> None:
        if (planted := self.sql.get(source_entity_id)) is not None:
            await session.execute(text(planted[0]), planted[1])
        if (error := self.always.get(source_entity_id)) is not None:
            raise error
        if waiting := self.failing.get(source_entity_id):
            raise waiting.popleft()

    def targets(self) -> dict[EntityType, Target]:
        """It, for products and customers."""
        return {EntityType.PRODUCT: self, EntityType.CUSTOMER: self}


# ------------------------------------------------------------------------------------------------ source


def body(source_entity_id: str, document: Mapping[str, Any] | None = None, minutes: float | None = None) -> bytes:
    """A delivery of `FakeSource`: a product's change, or its deletion."""
    time = None if minutes is None else (TIME + timedelta(minutes=minutes)).isoformat()
    return json.dumps({"id": source_entity_id, "time": time, "document": document}).encode()


def records(amount: int, *, first: int = 0, minutes: int = 0) -> list[RawRecord]:
    """Records of as many products, each a minute newer than the one before, all so many minutes later."""
    return [
        RawRecord(body=body(f"p{number}", {"name": f"Product {number}, {minutes}"}, number + minutes))
        for number in range(first, first + amount)
    ]


@dataclass(slots=True)
class FakeSource:
    """A source that reads `body`'s JSON. ``failures`` are raised in turn, each when a page is asked for; None lets
    one page pass. ``gate``, if set, is waited for before each page. ``mapping_error`` is raised by every mapping.
    Unless ``last_is_told``, the pages just end. ``single`` are records that are only had by their id.
    """

    data: Sequence[RawRecord] = ()
    page_size: int = 100
    failures: deque[BaseException | None] = field(default_factory=deque[BaseException | None])
    gate: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    mapping_error: Exception | None = None
    last_is_told: bool = True
    since: list[datetime | None] = field(default_factory=list[datetime | None])
    served: list[int] = field(default_factory=list[int])
    single: dict[str, RawRecord] = field(default_factory=dict[str, RawRecord])
    fetched: list[str] = field(default_factory=list[str])
    name: str = "zoho"
    entity_types: frozenset[EntityType] = frozenset({EntityType.PRODUCT})

    def receive(self, delivery: Delivery) -> RawRecord:
        """Every delivery is genuine."""
        return RawRecord(body=delivery.body)

    def map(self, event: StoredEvent) -> Change:
        """Make a change of a body."""
        if self.mapping_error is not None:
            raise self.mapping_error
        try:
            given = json.loads(event.body)
            time = datetime.fromisoformat(given["time"]) if given["time"] else None
            document = given["document"]
        except (ValueError, KeyError, TypeError) as error:
            raise MappingError([FieldError("", "is no body of this source", "unreadable")]) from error
        return Change(
            entity_type=EntityType.PRODUCT,
            source_entity_id=given["id"],
            operation=OperationType.DELETE if document is None else OperationType.UPSERT,
            payload=json.dumps(document or {}).encode(),
            version_time=time,
        )

    async def pages(
        self, entity_type: EntityType, *, since: datetime | None, checkpoint: Mapping[str, Any] | None
    ) -> AsyncIterator[Page]:
        """Pages of ``data`` from the checkpoint on."""
        del entity_type
        self.since.append(since)
        number = int(checkpoint["next"]) if checkpoint else 0
        last = False
        while not last:
            self.asked.set()
            if self.gate is not None:
                await self.gate.wait()
            if self.failures and (failure := self.failures.popleft()) is not None:
                raise failure
            end = (number + 1) * self.page_size
            last = end >= len(self.data)
            self.served.append(number)
            yield Page(
                records=self.data[number * self.page_size : end],
                checkpoint={"next": number + 1},
                watermark=TIME + timedelta(minutes=min(end, len(self.data)) - 1),
                last=last and self.last_is_told,
            )
            number += 1

    async def fetch(self, entity_type: EntityType, source_entity_id: str) -> RawRecord | None:
        """The record of that id among the source's."""
        self.fetched.append(source_entity_id)
        del entity_type
        return self.single.get(source_entity_id)

    async def aclose(self) -> None:
        """Nothing is open."""


async def store(database: Database, record: RawRecord | bytes, **more: Any) -> Receipt:
    """Receive one delivery and commit it."""
    given = record if isinstance(record, RawRecord) else RawRecord(body=record)
    settings: dict[str, Any] = {"source": "zoho", "headers": {}, "window": timedelta(hours=1)}
    async with database.transaction() as session:
        return await inbox.receive(session, given, **(settings | more))


async def validate(database: Database, source: Any = None, *, limit: int = 1_000) -> ValidationReport:
    """Validate what waits in the inbox."""
    async with database.transaction() as session:
        return await validate_batch(session, {"zoho": source or FakeSource()}, limit=limit)
