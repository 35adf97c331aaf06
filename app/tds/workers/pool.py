"""The loops of one process: validation, workers, runs, maintenance, heartbeat."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Final

from app.core.config import QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.telemetry import get_logger
from app.tds.core.apply import Applier
from app.tds.core.ports import Source
from app.tds.core.validation import validate_batch
from app.tds.sql import statement
from app.tds.workers.loop import Loop
from app.tds.workers.maintenance import Maintenance
from app.tds.workers.runner import Runner
from app.tds.workers.worker import SyncWorker, worker_name

__all__ = ["WorkerPool"]

_log = get_logger(__name__)
_BEAT_SECONDS: Final = 10.0


class WorkerPool:
    """``count`` workers and what feeds them. ``run`` returns when ``stop`` was called and all work in hand is done."""

    def __init__(
        self,
        database: Database,
        *,
        sources: Mapping[str, Source],
        applier: Applier,
        settings: QueueSettings,
        count: int,
        doorbell: Doorbell | None = None,
    ) -> None:
        self._database = database
        self._sources = sources
        self._settings = settings
        self.doorbell = doorbell or Doorbell(database)
        self.name = worker_name()
        self.stopping = asyncio.Event()
        self.workers = [
            SyncWorker(database=database, applier=applier, settings=settings, name=f"{self.name}-{number}")
            for number in range(1, count + 1)
        ]

    def stop(self) -> None:
        """Ask all loops to end after the step in hand."""
        self.stopping.set()

    async def run(self) -> None:
        """Run all loops until stopped."""
        listening = asyncio.ensure_future(self.doorbell.listen())
        try:
            async with asyncio.TaskGroup() as group:
                for loop in self._loops():
                    group.create_task(loop.run(), name=loop.name)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            await self._beat("stopped")
            await self.doorbell.close()

    def _loops(self) -> list[Loop]:
        settings, stop, idle = self._settings, self.stopping, self._settings.poll_seconds
        runner = Runner(self._database, self._sources, self.doorbell, settings, self.name)
        maintenance = Maintenance(self._database, self.doorbell, settings, self.name)
        return [
            Loop("validator", self._validate, stop, idle, self.doorbell.subscribe("inbox")),
            Loop("runner", runner.step, stop, idle, self.doorbell.subscribe("runs")),
            Loop("maintenance", maintenance.step, stop, settings.lease_seconds / 2),
            Loop("heartbeat", self._heartbeat, stop, _BEAT_SECONDS),
            *(
                Loop(worker.name, self._work(worker), stop, idle, self.doorbell.subscribe("queue"))
                for worker in self.workers
            ),
        ]

    async def _validate(self) -> bool:
        async with self._database.transaction() as session:
            report = await validate_batch(session, self._sources, limit=self._settings.batch_size)
        if report.queued:
            self.doorbell.ring("queue")
        return report.taken > 0

    def _work(self, worker: SyncWorker):  # noqa: ANN202 - a closure over one worker
        async def step() -> bool:
            report = await worker.process_batch()
            return len(report.ends) > 0

        return step

    async def _heartbeat(self) -> bool:
        await self._beat("idle")
        return False

    async def _beat(self, state: str) -> None:
        async with self._database.transaction() as session:
            for worker in self.workers:
                parameters = {
                    "id": worker.name,
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "version": version("tsh-data-sync"),
                    "state": state,
                    "processed": worker.processed,
                    "failed": worker.failed,
                }
                await session.execute(statement("beat"), parameters)
