"""SyncWorker: claims a batch, applies it, and says what became of it."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid4

import orjson
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import utc_now
from app.core.config import QueueSettings
from app.core.database import Database, default_database, join_or_begin
from app.core.telemetry import get_logger
from app.tds.core import claims, live, validation
from app.tds.core.apply import Applier, BatchReport
from app.tds.core.enqueueing import Hold
from app.tds.core.outcomes import ClaimedItem, Dead
from app.tds.core.ports import Source
from app.tds.core.queue import QueueItemNotFoundError
from app.tds.core.retry import is_batch_error
from app.tds.core.validation import InboxEvent
from app.tds.models import TDSSyncQueue
from app.tds.sql import statement
from app.tds.targets.erp import erp_targets
from app.tds.workers.looks import Looks
from app.tds.workers.suspicion import Suspicion, blaming, may_be_an_items

__all__ = ["SyncWorker", "worker_name"]

_log = get_logger(__name__)


def worker_name(number: int | None = None) -> str:
    """A name no other worker has had: host, process, a random part, and a number within the process."""
    suffix = "" if number is None else f"-{number}"
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}{suffix}"


@dataclass(slots=True)
class _Hand:
    """What one look brought: items to apply under their lease, or what has been applied already.

    ``newest`` is the last arrival of what was applied at once, 0 where nothing was.
    """

    held: Sequence[ClaimedItem] = ()
    report: BatchReport = field(default_factory=BatchReport)
    refused: int = 0
    newest: int = 0


class SyncWorker:
    """Applies queue items, a batch at a time.

    Given ``sources``, it takes events from the inbox where nothing waits in the queue, and applies them in the same
    transaction. ``backlogged`` tells that its newest look found something queued.

    On a session of its own for each transaction, or, given ``db``, on the caller's. ``processed`` counts what it has
    settled since it was made, ``failed`` what of that became a dead letter. ``batch_size`` and ``batch_started_at``
    tell of the batch in hand.

    What it can neither apply nor give back, because the database is gone, it keeps in mind and gives back before its
    next claim. Should a rescue have counted that lease as its death, it takes the loss back: it lives.
    """

    def __init__(
        self,
        db: AsyncSession | None = None,
        *,
        database: Database | None = None,
        applier: Applier | None = None,
        sources: Mapping[str, Source] | None = None,
        settings: QueueSettings | None = None,
        name: str | None = None,
    ) -> None:
        self.db = db
        self.name = name or worker_name()
        self.settings = settings or QueueSettings()
        self.applier = applier or Applier(erp_targets())
        self.sources = sources or {}
        self.backlogged = False
        self.processed = 0
        self.failed = 0
        self.batch_size = 0
        self.batch_started_at: datetime | None = None
        self._kept: list[ClaimedItem] = []
        self._suspicion = Suspicion()
        self._begun: int | None = None
        self._looks = Looks()
        self._database = database

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[AsyncSession]:
        if self.db is not None:
            async with join_or_begin(self.db):
                yield self.db
        else:
            async with (self._database or default_database()).transaction() as session:
                yield session

    async def process_batch(self, limit: int | None = None) -> BatchReport:
        """Claim and apply up to ``limit`` items (the configured batch size by default)."""
        await self.return_kept()
        return await self._take(1 if self._suspicion.alone else limit or self.settings.batch_size)

    async def _take(self, limit: int) -> BatchReport:
        hand = _Hand()
        try:
            async with self._transaction() as session:
                await self._fill(session, hand, limit)
        except Exception as error:
            self._kept += hand.held  # the COMMIT failed, and may have come through all the same
            self._looks.forget()
            if hand.newest:
                self._begun = max(self._begun or 0, hand.newest)
            if not hand.newest or is_batch_error(error):
                raise
            # Whose error it is shows when each is applied under its own lease.
            _log.warning("taken_events_not_applied", worker=self.name, error=str(error))
            return await self._take(limit)
        finally:
            self._rest()
        if hand.report.ends:
            self._suspicion.passed()
        report = await self._apply(hand.held) if hand.held else self._counted(hand.report)
        return replace(report, refused=hand.refused)

    async def _fill(self, session: AsyncSession, hand: _Hand, limit: int) -> None:
        """Claim what waits in the queue; where nothing does, take events from the inbox.

        Those that came since this worker began are applied at once, in the transaction that takes them. Older ones may
        have been the end of somebody: they get queue rows first, and a lease that tells should they be ours too.
        """
        lease = self.settings.lease_seconds
        now = await claims.guard(session, lease=lease)
        if self._begun is None:
            self._begun = await claims.newest_arrival(session)
        hand.held = await claims.claim(session, worker=self.name, limit=limit, lease=lease)
        self.backlogged = len(hand.held) > 0
        if hand.held or not self.sources:
            return
        events = await validation.take(session, limit=limit, first=self._looks.begin())
        new = self._are_new(events, now)
        self._looks.end(events)
        understood, hold = validation.understand(events, self.sources), Hold(self.name, lease)
        if new:
            hand.newest = max(event.arrival for event in events)
            self._begin(len(understood.good))
            hand.report = await self.applier.apply_taken(session, understood.items, hold=hold, now=now)
            hand.refused = await validation.bury(session, understood.refused, self.name, ends=hand.report.ends)
        else:
            report = await validation.queue_events(session, understood, worker=self.name, hold=hold)
            hand.held, hand.refused = report.held, report.dead

    def _are_new(self, events: Sequence[InboxEvent], now: datetime) -> bool:
        """Whether these may be applied at once: nobody can have died with them, and the transaction is our own."""
        if not events or self.db is not None or self._looks.went_past(events[0], now):
            return False
        return min(event.arrival for event in events) > (self._begun or 0)

    async def process_event(self, queue_id: UUID | str) -> BatchReport:
        """Claim and apply one item, due or not; an empty report if it has ended or somebody else has it.

        Raises:
            QueueItemNotFoundError: no such item.
        """
        identifier = UUID(str(queue_id))
        async with self._transaction() as session:
            if await session.get(TDSSyncQueue, identifier) is None:
                raise QueueItemNotFoundError
            item = await claims.claim_one(session, identifier, worker=self.name, lease=self.settings.lease_seconds)
        return await self._apply([item]) if item else BatchReport()

    async def process_item(self, item: TDSSyncQueue) -> BatchReport:
        """The same for an item at hand."""
        return await self.process_event(item.id)

    async def _apply(self, items: Sequence[ClaimedItem]) -> BatchReport:
        self._begin(len(items))
        try:
            report = await self._apply_or_blame(items)
        except Exception:
            await self._give_back(items)
            raise
        finally:
            self._rest()
        return self._counted(report)

    def _begin(self, size: int) -> None:
        self.batch_size, self.batch_started_at = size, utc_now()

    def _rest(self) -> None:
        self.batch_size, self.batch_started_at = 0, None

    def _counted(self, report: BatchReport) -> BatchReport:
        live.tell(report.ends)
        self.processed += len(report.ends)
        self.failed += sum(isinstance(end, Dead) for _, end in report.ends)
        if report.lost:
            _log.warning("lease_lost", worker=self.name, items=report.lost)
        return report

    async def _apply_or_blame(self, items: Sequence[ClaimedItem]) -> BatchReport:
        suspicion = self._suspicion
        try:
            report = await self._apply_with(self.applier, items)
        except Exception as error:
            if not may_be_an_items(error):
                raise
            if not suspicion.alone:
                suspicion.failed(len(items))
                raise
            _log.warning("item_brings_its_batch_down", worker=self.name, item=str(items[0].id), error=str(error))
            report = await self._apply_with(blaming(self.applier, error), items)
            suspicion.found()
        else:
            suspicion.passed()
        return report

    async def _apply_with(self, applier: Applier, items: Sequence[ClaimedItem]) -> BatchReport:
        async with self._transaction() as session:
            await claims.guard(session, lease=self.settings.lease_seconds)
            return await applier.apply(session, items, worker=self.name)

    async def _give_back(self, items: Sequence[ClaimedItem]) -> None:
        """Whatever broke, it was not the items: return them now, or as soon as the database is there again."""
        self._kept += items
        try:
            await self.return_kept()
        except (SQLAlchemyError, OSError) as error:
            _log.warning("give_back_failed", worker=self.name, items=len(self._kept), error=str(error))

    async def return_kept(self) -> None:
        """Give back what could not be given back when it should have been."""
        kept, self._kept = self._kept, []
        if not kept:
            return
        losses = orjson.dumps({str(item.id): item.lease_losses for item in kept}).decode()
        try:
            async with self._transaction() as session:
                await claims.give_back(session, kept, worker=self.name)
                await session.execute(
                    statement("forgive_losses"), {"ids": [item.id for item in kept], "losses": losses}
                )
        except Exception:
            self._kept += kept
            raise
