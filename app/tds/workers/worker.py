"""SyncWorker: claims a batch, applies it, and says what became of it."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import QueueSettings
from app.core.database import Database, default_database, join_or_begin
from app.core.telemetry import get_logger
from app.tds.core import claims, live
from app.tds.core.apply import Applier, BatchReport
from app.tds.core.outcomes import ClaimedItem
from app.tds.core.queue import QueueItemNotFoundError
from app.tds.models import TDSSyncQueue
from app.tds.targets.erp import erp_targets

__all__ = ["SyncWorker", "worker_name"]

_log = get_logger(__name__)


def worker_name(number: int | None = None) -> str:
    """A name no other worker has had: host, process, a random part, and a number within the process."""
    suffix = "" if number is None else f"-{number}"
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}{suffix}"


class SyncWorker:
    """Applies queue items, a batch at a time.

    On a session of its own for each transaction, or, given ``db``, on the caller's. ``processed`` and ``failed``
    count what it has ended since it was made.
    """

    def __init__(
        self,
        db: AsyncSession | None = None,
        *,
        database: Database | None = None,
        applier: Applier | None = None,
        settings: QueueSettings | None = None,
        name: str | None = None,
    ) -> None:
        self.db = db
        self.name = name or worker_name()
        self.settings = settings or QueueSettings()
        self.applier = applier or Applier(erp_targets())
        self.processed = 0
        self.failed = 0
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
        async with self._transaction() as session:
            items = await claims.claim(
                session, worker=self.name, limit=limit or self.settings.batch_size, lease=self.settings.lease_seconds
            )
        return await self._apply(items) if items else BatchReport()

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
        try:
            async with self._transaction() as session:
                await claims.guard(session, lease=self.settings.lease_seconds)
                report = await self.applier.apply(session, items, worker=self.name)
        except Exception:
            await self._give_back(items)
            raise
        live.tell(report.ends)
        self.processed += len(report.ends)
        if report.lost:
            _log.warning("lease_lost", worker=self.name, items=report.lost)
        return report

    async def _give_back(self, items: Sequence[ClaimedItem]) -> None:
        """Whatever broke, it was not the items: return them now, or let their lease run out."""
        try:
            async with self._transaction() as session:
                await claims.give_back(session, items, worker=self.name)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("give_back_failed", worker=self.name, items=len(items), error=str(error))
