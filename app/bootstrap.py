"""The composition root: settings become a database, sources, targets, workers. Nothing is built at import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from app.core.config import Settings
from app.core.database import Database, configure
from app.core.doorbell import Doorbell
from app.core.epochs import EpochReader
from app.core.errors import ConfigurationError, TdsError
from app.core.events.event_bus import event_bus
from app.core.security.gate import Gate
from app.core.telemetry import get_logger
from app.migrations.runner import schema_status, upgrade_engine
from app.tds.core.apply import Applier
from app.tds.core.audit import record_access
from app.tds.core.ports import Source, Target
from app.tds.core.retry import RetryPolicy
from app.tds.core.waiting import MissingParents
from app.tds.handlers import sync_handlers
from app.tds.monitoring.monitor import Monitor
from app.tds.sources.zoho import ZohoSource
from app.tds.targets.erp import erp_targets
from app.tds.types import EntityType
from app.tds.workers.loop import Loop
from app.tds.workers.pool import WorkerPool
from app.tds.workers.worker import worker_name

__all__ = [
    "Runtime",
    "SchemaBehindError",
    "build_applier",
    "build_monitor",
    "build_pool",
    "open_database",
    "open_runtime",
    "watching",
]

if TYPE_CHECKING:
    from app.core.embedded import EmbeddedPostgres

_log = get_logger(__name__)
_NAMED_SOURCES: Final = ("zoho",)
_LOOK_AFTER_SECONDS: Final = 2.0
_FAREWELL_SECONDS: Final = 5.0


class SchemaBehindError(ConfigurationError):
    """The database's schema is older than this program. Run "tds db upgrade" first."""


@dataclass(frozen=True)
class Runtime:
    """All that a process needs, built once. ``sources`` are by the name that stands in the tables."""

    settings: Settings
    database: Database
    doorbell: Doorbell
    sources: Mapping[str, Source]
    targets: Mapping[EntityType, Target]

    @cached_property
    def epochs(self) -> EpochReader:
        """What tells this process that cached answers, or credentials, are stale."""
        return EpochReader(self.database)

    @cached_property
    def gate(self) -> Gate:
        """Who may do what, in this process."""
        return Gate(
            self.database,
            self.epochs,
            server=self.settings.server,
            auth=self.settings.auth,
            record=record_access,
        )

    async def settle(self, seconds: float = _FAREWELL_SECONDS) -> None:
        """Let end what goes on behind the answers: uses that are written, epochs that are read, bells that ring.

        Without a database it is given up after some ``seconds``: nothing of it must keep a process from ending.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.gate.settle()
                await self.epochs.settle()
                await self.doorbell.close()
        except TimeoutError:
            _log.warning("left_unsettled")


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncGenerator[Database]:
    """The configured database, or the embedded one, started if it does not run; made the process's default."""
    async with _database_url(settings) as url:
        database = Database(url, settings.database)
        configure(database)
        try:
            yield database
        finally:
            configure(None)
            await database.dispose()


@asynccontextmanager
async def _database_url(settings: Settings) -> AsyncGenerator[str]:
    if settings.database.url is not None:
        yield settings.database.url.get_secret_value()
        return
    from app.core.embedded import EmbeddedPostgres  # noqa: PLC0415 - an extra: not everybody has it installed

    server = EmbeddedPostgres(settings.home)
    connection = await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(server.ensure_database, settings.database.name)
        keeping = asyncio.ensure_future(_keep_running(server))
        try:
            yield connection.url(settings.database.name)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
    finally:
        await asyncio.to_thread(server.stop_using)


async def _keep_running(server: EmbeddedPostgres) -> None:
    """Bring the embedded server back when it was killed: its users are its only administrators."""
    while True:
        await asyncio.sleep(_LOOK_AFTER_SECONDS)
        try:
            await asyncio.to_thread(server.start)
        except (TdsError, OSError) as error:
            _log.error("embedded_postgresql_down", error=str(error))


async def _check_schema(database: Database, settings: Settings) -> None:
    """The embedded database is brought up to date by whoever uses it; another one is its administrator's."""
    if settings.database.url is None:
        await upgrade_engine(database.engine)
    elif not (await schema_status(database.engine)).up_to_date:
        raise SchemaBehindError


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncGenerator[Runtime]:
    """Everything a server, a worker or a command needs; closed in the opposite order.

    Raises:
        SchemaBehindError: the database must be upgraded first.
    """
    async with open_database(settings) as database:
        await _check_schema(database, settings)
        sync_handlers.register(event_bus)
        sources: dict[str, Source] = {name: ZohoSource(settings.zoho, name=name) for name in _NAMED_SOURCES}
        try:
            yield Runtime(settings, database, Doorbell(database), sources, erp_targets())
        finally:
            for source in sources.values():
                await source.aclose()


def build_applier(runtime: Runtime) -> Applier:
    """How this process applies changes."""
    return Applier(
        runtime.targets,
        policies=RetryPolicy.by_entity(runtime.settings.retry),
        policy=RetryPolicy.of(runtime.settings.retry),
        parents=MissingParents(timedelta(hours=runtime.settings.queue.parent_wait_hours)),
    )


def build_pool(runtime: Runtime, *, count: int) -> WorkerPool:
    """The loops of one process with ``count`` workers."""
    return WorkerPool(
        runtime.database,
        sources=runtime.sources,
        settings=runtime.settings.queue,
        applier=build_applier(runtime),
        count=count,
        doorbell=runtime.doorbell,
        monitor=build_monitor(runtime),
        metrics_days=runtime.settings.alert.metrics_days,
    )


def build_monitor(runtime: Runtime) -> Monitor:
    """What watches over the pipeline, in this process or, while another one leads, not."""
    return Monitor(runtime.database, runtime.settings.alert, name=worker_name())


@asynccontextmanager
async def watching(runtime: Runtime) -> AsyncGenerator[None]:
    """The monitor alone, for a process without workers: nobody else would notice that all workers are gone."""
    monitor, stop = build_monitor(runtime), asyncio.Event()
    running = asyncio.ensure_future(Loop("monitor", monitor.step, stop, monitor.interval).run())
    try:
        yield
    finally:
        stop.set()
        await running
        with suppress(TimeoutError, OSError, SQLAlchemyError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await monitor.release()
