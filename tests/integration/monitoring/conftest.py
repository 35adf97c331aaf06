"""Monitors at work, and looks at what they wrote."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from app.core.config import AlertSettings, DatabaseSettings, LogSettings
from app.core.database import Database
from app.core.telemetry import configure_logging
from app.tds.monitoring.monitor import Monitor
from app.tds.workers.loop import Loop
from app.tds.workers.pool import WorkerPool
from tests.support.pipeline import NOW, QUICK, FakeSource, FakeTarget, applier, eventually, rows, value

OFTEN = AlertSettings(sample_seconds=0.05)
"""The thresholds of every day, looked at often."""


@pytest.fixture(autouse=True, scope="module")
def logging_as_in_production() -> Generator[None]:
    """Plain tracebacks: structlog's own default draws each for two seconds, and the event loop waits."""
    before, handlers, level = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level
    configure_logging(LogSettings(level="error", format="json"))
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


class Watching:
    """Two monitors, each with connections of its own as if in two processes."""

    def __init__(self, monitors: list[Monitor]) -> None:
        self.monitors = monitors
        self.rounds = 0

    def counted(self, monitor: Monitor) -> Callable[[], Awaitable[bool]]:
        """The monitor's step, with rounds of the leader counted."""

        async def step() -> bool:
            again = await monitor.step()
            self.rounds += monitor.leads
            return again

        return step

    async def rounds_pass(self, amount: int = 5) -> None:
        """Wait until the leader has looked so many times more."""
        wanted = self.rounds + amount

        async def passed() -> bool:
            return self.rounds >= wanted

        await eventually(passed, 30)


@asynccontextmanager
async def watching(url: str, settings: AlertSettings = OFTEN) -> AsyncGenerator[Watching]:
    """Two monitors at work, without grace for silent workers."""
    databases = [Database(url, DatabaseSettings(pool_size=2)) for _ in range(2)]
    monitors = [Monitor(one, settings, name=f"m{n}", grace_seconds=0) for n, one in enumerate(databases)]
    seen, stop = Watching(monitors), asyncio.Event()
    loops = [Loop("monitor", seen.counted(one), stop, one.interval) for one in monitors]
    tasks = [asyncio.create_task(one.run()) for one in loops]
    try:
        await seen.rounds_pass(1)
        yield seen
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        for one in monitors:
            await one.release()
        for one in databases:
            await one.dispose()


@asynccontextmanager
async def working(database: Database, target: FakeTarget | None = None) -> AsyncGenerator[WorkerPool]:
    """A pool at work."""
    pool = WorkerPool(database, sources={"zoho": FakeSource()}, applier=applier(target, NOW), settings=QUICK, count=2)
    task = asyncio.create_task(pool.run())
    try:
        yield pool
    finally:
        pool.stop()
        await task


@pytest.fixture
async def watcher(database_url: str) -> AsyncGenerator[Database]:
    """Connections of the test's own."""
    database = Database(database_url, DatabaseSettings(pool_size=2))
    yield database
    await database.dispose()


async def alerts(database: Database, rule: str) -> list[dict[str, Any]]:
    """All alerts of a rule, oldest first."""
    return await rows(database, "SELECT * FROM tds_alerts WHERE rule = :rule ORDER BY id", rule=rule)


async def fired(database: Database, rule: str, subject: str = "", severity: str | None = None) -> dict[str, Any]:
    """The alert that becomes active."""

    async def active() -> bool:
        return any(
            one["is_active"] and one["subject"] == subject and severity in {None, one["severity"]}
            for one in await alerts(database, rule)
        )

    await eventually(active, 30)
    return next(one for one in await alerts(database, rule) if one["is_active"] and one["subject"] == subject)


async def resolved(database: Database, alert: dict[str, Any]) -> dict[str, Any]:
    """The same alert, once it is over."""

    async def over() -> bool:
        return not await value(database, "SELECT is_active FROM tds_alerts WHERE id = :id", id=alert["id"])

    await eventually(over, 60)
    return next(one for one in await alerts(database, alert["rule"]) if one["id"] == alert["id"])


async def told(database: Database, alert: dict[str, Any]) -> list[str]:
    """The types of the events about an alert, in order."""
    found = await rows(
        database,
        "SELECT event_type FROM event_log WHERE aggregate_type = 'alert' AND aggregate_id = :id ORDER BY position",
        id=str(alert["id"]),
    )
    return [one["event_type"] for one in found]
