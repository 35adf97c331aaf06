"""The JSON blocks of the spec's "BFF Endpoints", word for word, held against what the real routes answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Database, get_async_db
from app.tds.core.service import SyncStats, TDSService
from app.tds.models import TDSEntityTotal
from app.tds.types import EventStatus
from tests.support.pipeline import change, drain, enqueue
from tests.support.views import add, alert, letter, metric, minutes_ago, processing, run, worker_row

pytestmark = pytest.mark.integration

DASHBOARD = """
{
  "health": {
    "status": "healthy",
    "queue_depth": 0,
    "processing_rate": 12.5,
    "error_rate": 0.5,
    "active_workers": 2,
    "active_alerts": 0
  },
  "queue": {
    "pending": 0,
    "processing": 2,
    "completed_today": 1250,
    "failed_today": 5,
    "retry_ready": 0,
    "dead_letter": 3
  },
  "recent_runs": [...],
  "alerts": [...]
}
"""
RUNS = """
[
  {
    "id": "uuid",
    "type": "zoho",
    "entity_type": "product",
    "status": "completed",
    "progress_percentage": 100.0,
    "processed": 2000,
    "total": 2000,
    "failed": 0,
    "started_at": "2025-11-05T10:00:00Z",
    "duration": "5m30s"
  }
]
"""
ENTITIES = """
[
  {
    "entity_type": "product",
    "last_sync": "2025-11-05T10:05:00Z",
    "total_synced": 2000,
    "pending": 0,
    "failed_last_24h": 2,
    "success_rate": 99.9
  },
  {
    "entity_type": "customer",
    "last_sync": "2025-11-05T09:30:00Z",
    "total_synced": 500,
    "pending": 0,
    "failed_last_24h": 0,
    "success_rate": 100.0
  }
]
"""
ALERTS = """
[
  {
    "id": "uuid",
    "severity": "error",
    "title": "High failure rate detected",
    "message": "Product sync failure rate exceeded 10% in last hour",
    "triggered_at": "2025-11-05T10:30:00Z",
    "is_active": true,
    "acknowledged": false
  }
]
"""
LETTERS = """
[
  {
    "id": "uuid",
    "entity_type": "product",
    "source_entity_id": "zoho-123",
    "failure_reason": "Invalid SKU format",
    "total_attempts": 3,
    "created_at": "2025-11-05T08:00:00Z",
    "resolved": false,
    "priority": 5
  }
]
"""
DAY = datetime(2025, 11, 5, tzinfo=UTC)


def printed(block: str) -> Any:
    """A block of the spec; its ellipses are empty lists."""
    return json.loads(block.replace("[...]", "[]"))


def shape(value: Any) -> Any:
    """A value's keys in their order, and its types."""
    match value:
        case dict():
            return [(name, shape(part)) for name, part in cast("dict[str, Any]", value).items()]
        case list():
            return [shape(part) for part in cast("list[Any]", value)]
        case _:
            return type(value).__name__


def assert_as_printed(answer: Any, block: str) -> None:
    """The same keys, in the same order, with the same types and values; ``"uuid"`` stands for any id."""
    assert shape(answer) == shape(printed(block))
    for entry in cast("list[dict[str, Any]]", answer if isinstance(answer, list) else []):
        if "id" in entry:
            assert UUID(entry["id"]).version == 7
            entry["id"] = "uuid"
    assert answer == printed(block)


def completed_run() -> Any:
    """The run of the spec."""
    return run(
        status=EventStatus.COMPLETED,
        total_events=2000,
        processed_events=2000,
        successful_events=2000,
        started_at=DAY.replace(hour=10),
        completed_at=DAY.replace(hour=10, minute=5, second=30),
    )


class TestSpecExamplesBff:
    """``GET /api/bff/tds/...``."""

    async def test_dashboard(self, viewer: AsyncClient, database: Database) -> None:
        """1. Dashboard Overview: today has 1,250 successes and 5 failures, the last hour 1 failure in 200."""
        await add(
            database,
            metric(minutes_ago(2), succeeded=12),
            metric(minutes_ago(3), succeeded=13),
            metric(minutes_ago(30), succeeded=174, dead=1),
            metric(minutes_ago(90), succeeded=1051, dead=4),
            *(worker_row(name) for name in ("w1", "w2")),
            *(processing(name) for name in ("1", "2")),
            *(letter() for _ in range(3)),
        )
        answer = (await viewer.get("/dashboard")).json()
        assert_as_printed(answer, DASHBOARD)

    async def test_dashboard_lists_runs_and_alerts_as_their_own_lists_do(
        self, viewer: AsyncClient, database: Database
    ) -> None:
        """What the spec leaves out with dots: entries like those of the other two."""
        await add(database, completed_run(), alert(triggered_at=DAY.replace(hour=10, minute=30)))
        answer = (await viewer.get("/dashboard")).json()
        assert answer["recent_runs"] == (await viewer.get("/runs")).json()
        assert answer["alerts"] == (await viewer.get("/alerts")).json()
        assert_as_printed(answer["recent_runs"], RUNS)
        assert_as_printed(answer["alerts"], ALERTS)

    async def test_runs(self, viewer: AsyncClient, database: Database) -> None:
        """2. Sync Run History."""
        await add(database, completed_run(), run(entity_type="customer"))
        assert_as_printed((await viewer.get("/runs?limit=20&entity_type=product")).json(), RUNS)

    async def test_entities(self, viewer: AsyncClient, database: Database) -> None:
        """3. Entity Sync Status: 2,000 products of which 2 failed today, 500 customers of which none did."""
        await add(
            database,
            *(
                TDSEntityTotal(entity_type=name, counted=counted, counted_from=DAY, counted_at=DAY, last_sync_at=last)
                for name, counted, last in (
                    ("product", 2000, DAY.replace(hour=10, minute=5)),
                    ("customer", 500, DAY.replace(hour=9, minute=30)),
                )
            ),
            metric(minutes_ago(60), "product", succeeded=1998, dead=2),
            metric(minutes_ago(60), "customer", succeeded=500),
        )
        assert_as_printed((await viewer.get("/entities")).json(), ENTITIES)

    async def test_alerts(self, viewer: AsyncClient, database: Database) -> None:
        """4. Active Alerts."""
        moment = DAY.replace(hour=10, minute=30)
        ended = {"is_active": False, "resolved_at": moment + timedelta(hours=1)}
        await add(database, alert(triggered_at=moment), alert(severity="warning"), alert(triggered_at=moment, **ended))
        assert_as_printed((await viewer.get("/alerts?severity=error")).json(), ALERTS)

    async def test_dead_letters(self, viewer: AsyncClient, database: Database) -> None:
        """5. Dead Letter Queue."""
        await add(database, letter(created_at=DAY.replace(hour=8)), letter(entity_type="customer"))
        assert_as_printed((await viewer.get("/dead-letter?entity_type=product")).json(), LETTERS)


async def test_spec_examples_with_bff_layer(database: Database) -> None:
    """Integration points, "With BFF Layer": the route as printed, with a formatter of the reader's own."""
    router = FastAPI()

    def format_for_mobile(stats: SyncStats) -> dict[str, Any]:
        return {"waiting": stats["queue"]["pending"], "entities": stats["entities"]}

    # The spec's lines; ``db`` is a default there, which the style of this project writes no more.
    @router.get("/api/bff/tds/dashboard")
    async def get_dashboard(db: AsyncSession = Depends(get_async_db)):  # noqa: ANN202, B008, FAST002
        tds_service = TDSService(db)
        stats = await tds_service.get_sync_stats()
        return format_for_mobile(stats)

    await enqueue(database, change("1", {"name": "a"}))
    await drain(database)
    await enqueue(database, change("2", {"name": "b"}))
    async with AsyncClient(transport=ASGITransport(router), base_url="http://test") as client:
        answer = (await client.get("/api/bff/tds/dashboard")).json()
    assert answer["waiting"] == 1
    assert [(one["entity_type"], one["synced"]) for one in answer["entities"]] == [("product", 1)]
