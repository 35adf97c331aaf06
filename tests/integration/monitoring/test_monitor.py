"""The monitor runs in every process, with workers or without."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from app.bootstrap import build_pool, open_runtime, watching
from app.core.config import AlertSettings, DatabaseSettings, Settings
from app.core.database import Database
from tests.support.pipeline import eventually, value

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

HOLDER = "SELECT holder FROM locks WHERE name = 'monitor'"


def settings(url: str) -> Settings:
    """Those of a process on this database."""
    return Settings.load(
        database=DatabaseSettings(url=SecretStr(url), pool_size=3), alert=AlertSettings(sample_seconds=0.05)
    )


class TestMonitor:
    """Who leads, and what it leaves."""

    async def test_runs_in_a_process_without_workers(self, database: Database, database_url: str) -> None:
        """It samples the queue, counts the ledger, and gives the lead back at the end."""

        async def sampled() -> bool:
            return bool(await value(database, "SELECT count(*) FROM tds_entity_totals"))

        async with open_runtime(settings(database_url)) as runtime, watching(runtime):
            await eventually(sampled)
            assert await value(database, HOLDER) is not None
        assert await value(database, HOLDER) is None
        assert await value(database, "SELECT count(*) FROM tds_queue_samples") >= 1

    async def test_runs_beside_workers(self, database: Database, database_url: str) -> None:
        """The pool's goodbye gives the lead back too."""

        async def led() -> bool:
            return await value(database, HOLDER) is not None

        async with open_runtime(settings(database_url)) as runtime:
            pool = build_pool(runtime, count=1)
            async with asyncio.TaskGroup() as group:
                group.create_task(pool.run())
                await eventually(led)
                pool.stop()
        assert await value(database, HOLDER) is None
