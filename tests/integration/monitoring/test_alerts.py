"""The five alerts in the running system: each fires once, with two monitors at work, and resolves by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.core.config import AlertSettings
from app.core.database import Database
from app.tds.core import claims
from app.tds.core.dead_letter_service import DeadLetterService
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.core.service import TDSService
from app.tds.types import SourceType
from tests.integration.monitoring.conftest import (
    OFTEN,
    Watching,
    alerts,
    fired,
    resolved,
    told,
    watching,
    working,
)
from tests.support.pipeline import FakeTarget, change, enqueue, eventually, execute, expire_leases, rows, value

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus"), pytest.mark.timeout(180)]

LIFE = ["tds.alert.triggered", "tds.alert.resolved"]


async def fired_once(database: Database, seen: Watching, alert: dict[str, Any]) -> None:
    """However many rounds pass, nobody is told twice."""
    await seen.rounds_pass()
    assert len(await alerts(database, alert["rule"])) == 1
    assert await told(database, alert) == LIFE[:1]


class TestFailureRateAlert:
    """Items that fail."""

    async def test_alert_fires_once_and_resolves(
        self, database: Database, database_url: str, watcher: Database
    ) -> None:
        """Thirty products break a rule; four hundred good ones later it is over."""
        bad = {f"bad{n}" for n in range(30)}
        async with watching(database_url) as seen, working(database, FakeTarget(rejecting=bad)):
            await enqueue(watcher, *(change(one, {"name": "a"}) for one in sorted(bad)))
            alert = await fired(watcher, "failure_rate", "product")
            await fired_once(watcher, seen, alert)
            await enqueue(watcher, *(change(f"good{n}", {"name": "a"}) for n in range(400)))
            after = await resolved(watcher, alert)
        assert (alert["severity"], alert["title"]) == ("error", "High failure rate detected")
        assert alert["message"] == "Product sync failure rate exceeded 10% in last hour"
        assert (alert["value"], alert["threshold"]) == (100.0, 10.0)
        assert after["value"] < 8
        assert await told(watcher, alert) == LIFE


class TestQueueBacklogAlert:
    """More comes in than is worked off."""

    async def test_alert_fires_once_and_resolves(
        self, database: Database, database_url: str, watcher: Database
    ) -> None:
        """While nobody works, a queue grows; workers bring it down."""
        settings = OFTEN.model_copy(update={"queue_depth": 300})
        async with watching(database_url, settings) as seen:
            await enqueue(watcher, *(change(f"p{n}", {"name": "a"}) for n in range(301)))
            alert = await fired(watcher, "queue_backlog")
            await fired_once(watcher, seen, alert)
            async with working(database):
                await resolved(watcher, alert)
        assert (alert["value"], alert["threshold"], alert["severity"]) == (301, 300, "error")
        assert await told(watcher, alert) == LIFE

    async def test_alert_counts_what_is_not_validated_yet(self, database_url: str, watcher: Database) -> None:
        """Ten thousand deliveries in the inbox are a backlog as well; the default threshold."""
        await execute(
            watcher,
            "INSERT INTO tds_inbox_events (id, source, body, content_hash, signature)"
            " SELECT gen_random_uuid(), 'zoho', '', '', 'valid' FROM generate_series(1, 10001)",
        )
        async with watching(database_url):
            alert = await fired(watcher, "queue_backlog")
        assert alert["value"] == 10_001
        assert alert["message"] == "More than 10,000 items wait to be processed"


class TestStaleProcessingAlert:
    """Something is in processing for longer than an hour."""

    async def test_alert_of_an_item_fires_once_and_resolves(
        self, database: Database, database_url: str, watcher: Database
    ) -> None:
        """Its worker is gone, and nobody is there to rescue it; then somebody is."""
        settings = AlertSettings(sample_seconds=0.05, stale_seconds=30)
        await enqueue(watcher, change("stuck", {"name": "a"}))
        async with watcher.transaction() as session:
            assert await claims.claim(session, worker="gone", limit=1, lease=10)
        await expire_leases(watcher)
        async with watching(database_url, settings) as seen:
            alert = await fired(watcher, "stale_processing", "items")
            await fired_once(watcher, seen, alert)
            async with working(database):
                await resolved(watcher, alert)
        assert alert["message"] == "An item has been in processing for more than 30 seconds"
        assert alert["value"] >= 60
        assert await told(watcher, alert) == LIFE
        assert await value(watcher, "SELECT status FROM tds_sync_queue") == "completed"

    async def test_alert_of_a_run_fires_once_and_resolves(self, database_url: str, watcher: Database) -> None:
        """A run that began two hours ago; it is completed in the end."""
        async with watcher.session() as session:
            run = await TDSService(session).create_sync_run(run_type=SourceType.ZOHO, entity_type="product")
        await execute(watcher, "UPDATE tds_sync_runs SET started_at = now() - interval '2 hours'")
        async with watching(database_url) as seen:
            alert = await fired(watcher, "stale_processing", "runs")
            await fired_once(watcher, seen, alert)
            async with watcher.session() as session:
                await TDSService(session).complete_sync_run(run.id, total_processed=1, successful=1, failed=0)
            await resolved(watcher, alert)
        assert alert["run_id"] == run.id
        assert alert["message"] == "A run of product has been in processing for more than 1 hour"
        assert await told(watcher, alert) == LIFE

    async def test_no_alert_of_a_run_that_a_person_has_just_resumed(self, database_url: str, watcher: Database) -> None:
        """It began yesterday, and goes on since a moment."""
        async with watcher.session() as session:
            run = await TDSService(session).create_sync_run(run_type=SourceType.ZOHO, entity_type="product")
        await execute(
            watcher,
            "UPDATE tds_sync_runs SET started_at = now() - interval '1 day'",
            "INSERT INTO tds_audit_trail (id, entity_type, entity_id, operation, changed_fields, change_source, actor)"
            f" VALUES (gen_random_uuid(), 'sync_run', '{run.id}', 'update', '{{}}', 'manual', 'ann')",
        )
        async with watching(database_url) as seen:
            await seen.rounds_pass()
        assert await alerts(watcher, "stale_processing") == []


class TestDeadLetterGrowthAlert:
    """Many changes are given up."""

    async def test_alert_fires_once_and_resolves(
        self, database: Database, database_url: str, watcher: Database
    ) -> None:
        """Twenty-six letters within the hour; somebody resolves them all."""
        bad = {f"bad{n}" for n in range(26)}
        async with watching(database_url) as seen, working(database, FakeTarget(rejecting=bad)):
            await enqueue(watcher, *(change(one, {"name": "a"}) for one in sorted(bad)))
            alert = await fired(watcher, "dead_letter_growth")
            await fired_once(watcher, seen, alert)
            async with watcher.session() as session:
                await DeadLetterService(session).resolve_all(LetterCriteria(), note="known", actor="ann")
            await resolved(watcher, alert)
        assert (alert["value"], alert["threshold"], alert["severity"]) == (26, 25, "warning")
        assert await told(watcher, alert) == LIFE

    async def test_no_alert_of_letters_that_have_lain_there_for_long(
        self, database_url: str, watcher: Database
    ) -> None:
        """A hundred old ones are work for a person, not news."""
        await execute(
            watcher,
            "INSERT INTO tds_dead_letter_queue (id, source, entity_type, failure_reason, error_code, fingerprint)"
            " SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 'zoho', 'product', '', '', ''"
            " FROM generate_series(1, 100) AS n",
        )
        async with watching(database_url) as seen:
            await seen.rounds_pass()
        assert await alerts(watcher, "dead_letter_growth") == []


@contextmanager
def worker_process(url: str, home: Path) -> Generator[subprocess.Popen[bytes]]:
    """``tds worker`` as its user starts it."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("TDS_")}
    environment = {**kept, "TDS_HOME": str(home), "TDS_DATABASE_URL": url}
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "worker", "--count", "2"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def heard_of(database: Database, process: subprocess.Popen[bytes]) -> str:
    """The name of the process, once its heart has beaten."""
    query = "SELECT min(id) FROM tds_workers WHERE pid = :pid"

    async def beaten() -> bool:
        return await value(database, query, pid=process.pid) is not None

    await eventually(beaten, 60)
    return str(await value(database, query, pid=process.pid)).removesuffix("-1")


class TestWorkerFailureAlert:
    """A worker process that is killed."""

    async def test_alert_fires_once_grows_critical_and_resolves(
        self, database_url: str, watcher: Database, tmp_path: Path
    ) -> None:
        """One alert for its two workers; critical once work waits; over when another process has taken its place."""
        async with watching(database_url) as seen:
            with worker_process(database_url, tmp_path) as process:
                name = await heard_of(watcher, process)
                await seen.rounds_pass()
                assert await alerts(watcher, "worker_failure") == []
            await execute(watcher, "UPDATE tds_workers SET heartbeat_at = heartbeat_at - interval '1 minute'")
            alert = await fired(watcher, "worker_failure", name)
            await fired_once(watcher, seen, alert)
            await enqueue(watcher, change("waits", {"name": "a"}))
            worse = await fired(watcher, "worker_failure", name, "critical")
            with worker_process(database_url, tmp_path) as process:
                await heard_of(watcher, process)
                await resolved(watcher, alert)
        assert (alert["severity"], worse["id"]) == ("error", alert["id"])
        assert alert["message"].startswith("2 workers on ")
        assert worse["message"].endswith("no worker is left, and work waits")
        assert await told(watcher, alert) == LIFE

    async def test_no_alert_when_a_process_says_goodbye(
        self, database: Database, database_url: str, watcher: Database
    ) -> None:
        """Whoever is stopped as he should be is not lost, however long ago."""
        async with working(database) as pool:
            await pool.beat()
        await execute(watcher, "UPDATE tds_workers SET heartbeat_at = heartbeat_at - interval '1 hour'")
        async with watching(database_url) as seen:
            await seen.rounds_pass()
        assert {one["state"] for one in await rows(watcher, "SELECT state FROM tds_workers")} == {"stopped"}
        assert await alerts(watcher, "worker_failure") == []
