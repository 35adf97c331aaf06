"""The loops of one process: validation, workers, runs, maintenance, heartbeat."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from typing import Final, Protocol

from app.core.config import QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.events.tail import EVENTS_BELL
from app.core.telemetry import get_logger
from app.tds.core import claims
from app.tds.core.apply import Applier
from app.tds.core.ports import Source
from app.tds.core.validation import validate_batch
from app.tds.sql import statement
from app.tds.workers.jobs import JobRunner
from app.tds.workers.loop import Loop
from app.tds.workers.maintenance import Maintenance
from app.tds.workers.parents import ParentFetcher
from app.tds.workers.runner import Runner
from app.tds.workers.worker import SyncWorker, worker_name

__all__ = ["WorkerPool"]

_log = get_logger(__name__)
_PARENTS_SECONDS: Final = 60.0
_OTHERS_PACE: Final = 5.0
_JOBS_PACE: Final = 2.0  # seldom asked for, and then a bell tells
_BEAT_SECONDS: Final = 10.0
_EVENTS_SECONDS: Final = 0.05
_FAREWELL_SECONDS: Final = 5.0


class Watch(Protocol):
    """What watches over the pipeline: ``step`` is called every ``interval`` seconds, ``release`` at the end."""

    interval: float

    async def step(self) -> bool:
        """One round."""
        ...

    async def release(self) -> None:
        """Let another process take over."""
        ...


class WorkerPool:
    """``count`` workers and what feeds them. ``run`` returns when ``stop`` was called and all batches in hand are done;
    a run that is being read is laid down for another process.
    """

    def __init__(
        self,
        database: Database,
        *,
        sources: Mapping[str, Source],
        applier: Applier,
        settings: QueueSettings,
        count: int,
        doorbell: Doorbell | None = None,
        monitor: Watch | None = None,
        metrics_days: int = 90,
    ) -> None:
        self._database = database
        self._sources = sources
        self._settings = settings
        self._monitor = monitor
        self._metrics_days = metrics_days
        self.doorbell = doorbell or Doorbell(database)
        self.name = worker_name()
        self.stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._news = asyncio.Event()
        self.workers = [
            SyncWorker(
                database=database, applier=applier, sources=sources, settings=settings, name=f"{self.name}-{number}"
            )
            for number in range(1, count + 1)
        ]

    def stop(self) -> None:
        """Ask all loops to end after the step in hand."""
        self.stopping.set()
        self._news.set()

    async def run(self) -> None:
        """Run all loops until stopped."""
        listening = asyncio.ensure_future(self.doorbell.listen())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Loop("heartbeat", self._heartbeat, self._ended, _BEAT_SECONDS, self._news).run())
                await self._work()
                self._ended.set()
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            await self._farewell()
            await self.doorbell.close()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            for loop in self._loops():
                group.create_task(loop.run(), name=loop.name)

    def _loops(self) -> list[Loop]:
        settings, stop = self._settings, self.stopping
        runner = Runner(self._database, self._sources, self.doorbell, settings, self.name, stopping=stop)
        maintenance = Maintenance(self._database, self.doorbell, settings, self.name, metrics_days=self._metrics_days)
        parents = ParentFetcher(self._database, self._sources, self.doorbell, self.name)
        jobs = JobRunner(self._database, self._sources, self.doorbell, settings, self.name)
        return [
            Loop("validator", self._validate, stop, settings.poll_seconds, self.doorbell.subscribe("inbox")),
            self._loop("runner", runner.step, "runs"),
            self._loop("jobs", jobs.step, "jobs", pace=_JOBS_PACE),
            Loop("parents", parents.step, stop, _PARENTS_SECONDS),
            Loop("maintenance", maintenance.step, stop, settings.lease_seconds / 2),
            *([Loop("monitor", self._monitor.step, stop, self._monitor.interval)] if self._monitor else []),
            *(self._worker_loop(worker, first=number == 0) for number, worker in enumerate(self.workers)),
        ]

    def _worker_loop(self, worker: SyncWorker, *, first: bool) -> Loop:
        """While there is nothing to do one worker looks for all: it wakes the others where it finds much."""
        pace = 1.0 if first else _OTHERS_PACE
        return self._loop(worker.name, partial(self._batch, worker), "queue", "inbox", pace=pace)

    def _loop(self, name: str, step: Callable[[], Awaitable[bool]], *bells: str, pace: float = 1.0) -> Loop:
        return Loop(
            name,
            step,
            self.stopping,
            self._settings.poll_seconds * pace,
            self.doorbell.subscribe(*bells),
            hearing=lambda: self.doorbell.listening,
        )

    async def _validate(self) -> bool:
        """Queue what arrives while the workers have a backlog, by its priority; without one they take it themselves."""
        if not all(worker.backlogged for worker in self.workers):
            return False
        async with self._database.transaction() as session:
            await claims.guard(session, lease=self._settings.lease_seconds)
            report = await validate_batch(session, self._sources, limit=self._settings.batch_size, worker=self.name)
        if report.queued:
            self.doorbell.ring("queue")
        return report.taken > 0

    async def _batch(self, worker: SyncWorker) -> bool:
        report = await worker.process_batch()
        worked = len(report.ends) + report.refused > 0
        if len(report.ends) >= self._settings.batch_size:
            self.doorbell.wake("queue")
        if worked:
            self.doorbell.ring(EVENTS_BELL, pause=_EVENTS_SECONDS)
        return worked

    async def _heartbeat(self) -> bool:
        await self.beat()
        return False

    async def _farewell(self) -> None:
        """The last word of this process; without a database it ends all the same, and its leases by themselves."""
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                for worker in self.workers:
                    await worker.return_kept()
                if self._monitor is not None:
                    await self._monitor.release()
                await self.beat("stopped")
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not keep the process from ending
            _log.warning("stopped_untold", worker=self.name, error=str(error))

    async def beat(self, state: str | None = None) -> None:
        """Write down that the workers live, and what each is doing: in one statement, however many they are."""
        workers = self.workers
        parameters = {
            "ids": [worker.name for worker in workers],
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version("tsh-data-sync"),
            "states": [state or self._state(worker) for worker in workers],
            "batch_sizes": [worker.batch_size for worker in workers],
            "batch_started_ats": [worker.batch_started_at for worker in workers],
            "processed": [worker.processed for worker in workers],
            "failed": [worker.failed for worker in workers],
        }
        async with self._database.transaction() as session:
            await session.execute(statement("beat"), parameters)

    def _state(self, worker: SyncWorker) -> str:
        if self.stopping.is_set():
            return "draining"
        return "busy" if worker.batch_size else "idle"
