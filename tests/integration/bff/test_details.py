"""One thing in full: an entity, its timeline, workers, the series."""

from __future__ import annotations

from typing import Any

import pytest
from httpx2 import AsyncClient

from app.core.database import Database
from app.tds.models import TDSWorker
from tests.support.pipeline import FakeTarget, body, change, drain, enqueue, expire_leases, store, validate
from tests.support.views import add, letter, metric, minutes_ago, worker_row

pytestmark = pytest.mark.integration


async def entity(client: AsyncClient, source_entity_id: str) -> dict[str, Any]:
    """What is told of a product."""
    answer = await client.get(f"/entities/product/{source_entity_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestEntity:
    """``GET /entities/{entity_type}/{source_entity_id}``."""

    async def test_tells_how_fresh_it_is(self, viewer: AsyncClient, database: Database) -> None:
        """Waiting, in step, failed, deleted: through an entity's life."""
        await enqueue(database, change("1", {"name": "ماوس", "price": "12.50"}, minutes=1))
        assert (await entity(viewer, "1"))["freshness"]["state"] == "changes_waiting"
        await drain(database)
        applied = await entity(viewer, "1")
        assert applied["freshness"]["state"] == "in_step"
        assert applied["local"]["row"]["name"] == "ماوس"
        assert applied["local"]["row"]["price"] == "12.500000"
        assert applied["local_id"] == applied["local"]["id"]
        assert applied["version_time"] == "2026-03-01T12:01:00Z"
        await add(database, letter(source_entity_id="1"))
        failed = (await entity(viewer, "1"))["freshness"]
        assert (failed["state"], failed["open_letters"]) == ("failed", 1)
        await enqueue(database, change("1", None, minutes=3))
        await drain(database)
        gone = await entity(viewer, "1")
        assert (gone["deleted"], gone["local"]) == (True, None)

    async def test_tells_what_belongs_to_a_customer(self, viewer: AsyncClient, database: Database) -> None:
        """Addresses and persons."""
        document = {"name": "Ann & Co", "billing_address": {"city": "Basra"}}
        await enqueue(database, change("c1", document, entity_type="customer"))
        await drain(database)
        told = (await viewer.get("/entities/customer/c1")).json()
        assert [one["city"] for one in told["local"]["parts"]["addresses"]] == ["Basra"]
        assert told["local"]["parts"]["persons"] == []

    @pytest.mark.parametrize("path", ["/entities/product/none", "/entities/bill/1", "/entities/product/1?source=odoo"])
    async def test_says_when_nothing_is_known(self, viewer: AsyncClient, database: Database, path: str) -> None:
        """Of the id, of the type, of the source."""
        await enqueue(database, change("1", {"name": "a"}))
        answer = await viewer.get(path)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:tds:problem:entity-not-known"


class TestTimeline:
    """``GET /entities/{entity_type}/{source_entity_id}/timeline``."""

    async def test_tells_all_that_happened_newest_first(self, viewer: AsyncClient, database: Database) -> None:
        """A delivery, its item with a failed attempt, the change, its event; then a letter, its event, and its end."""
        await store(database, body("1", {"name": "a", "price": "12.50"}, 1))
        await validate(database)
        failing = FakeTarget(always={"1": ConnectionError("the ERP was closed")})
        await drain(database, failing)
        await expire_leases(database)
        entries = (await viewer.get("/entities/product/1/timeline")).json()
        assert [one["kind"] for one in entries] == ["queued", "received"]
        queued, received = entries
        assert (queued["status"], queued["attempts"], len(queued["errors"])) == ("retry", 1, 1)
        assert queued["inbox_event_id"] == received["id"]
        assert '"price": "12.50"' in received["body"]
        await enqueue(database, change("1", {"name": "b"}, minutes=2))
        await drain(database)
        entries = (await viewer.get("/entities/product/1/timeline")).json()
        assert [one["kind"] for one in entries] == ["audit", "event", "queued", "queued", "received"]
        assert [one["id"] for one in entries] == sorted((one["id"] for one in entries), reverse=True)

    async def test_pages_through_all_kinds(self, viewer: AsyncClient, database: Database) -> None:
        """Each entry once, whatever table it is from, two at a time."""
        await store(database, body("1", {"sku": "s"}, 1))
        await validate(database)
        await drain(database)
        await enqueue(database, change("1", {"name": "a"}, minutes=2))
        await drain(database)
        whole = (await viewer.get("/entities/product/1/timeline")).json()
        assert {one["kind"] for one in whole} == {"received", "queued", "dead_letter", "event", "audit"}
        url, seen = "/entities/product/1/timeline?limit=2", list[Any]()
        while url:
            answer = await viewer.get(url)
            seen += answer.json()
            url = answer.links["next"]["url"].removeprefix("/api/bff/tds") if "next" in answer.links else ""
        assert seen == whole

    async def test_of_an_unknown_entity_is_empty(self, viewer: AsyncClient) -> None:
        """Nothing happened."""
        assert (await viewer.get("/entities/product/1/timeline")).json() == []


class TestWatching:
    """``GET /workers`` and ``GET /metrics``."""

    async def test_workers_are_alive_or_not(self, viewer: AsyncClient, database: Database) -> None:
        """By their heartbeat."""
        silent: TDSWorker = worker_row("w2")
        silent.heartbeat_at = minutes_ago(5)
        await add(database, worker_row("w1"), silent)
        workers = (await viewer.get("/workers")).json()
        assert {one["id"]: one["alive"] for one in workers} == {"w1": True, "w2": False}
        assert [one["id"] for one in (await viewer.get("/workers?alive=true")).json()] == ["w1"]

    async def test_metrics_are_a_point_a_minute(self, viewer: AsyncClient, database: Database) -> None:
        """Of the last hour, idle minutes included; by the hour and by the type where that is asked."""
        await add(
            database,
            metric(minutes_ago(10), succeeded=199, dead=1),
            metric(minutes_ago(10), "customer", succeeded=5),
        )
        points = (await viewer.get("/metrics")).json()
        busy = [one for one in points if one["processed"]]
        assert len(points) in {60, 61}
        assert [(one["processed"], one["failed"], one["success_rate"]) for one in busy] == [(205, 1, 99.5)]
        (busy,) = [one for one in (await viewer.get("/metrics?entity_type=customer")).json() if one["processed"]]
        assert busy["processed"] == 5

    @pytest.mark.parametrize(
        "query",
        [
            "step=day",
            "since=yesterday",
            "since=2025-11-05T00:00:00",
            "since=0001-01-01T00:00:00Z",
            "since=2025-01-01T00:00:00Z&until=2025-11-01T00:00:00Z",
            "since=2025-11-05T00:00:00Z&until=2025-11-04T00:00:00Z",
            "steps=hour",
        ],
    )
    async def test_metrics_refuse_what_would_have_no_end(self, viewer: AsyncClient, query: str) -> None:
        """A step, a time or a span that cannot be meant."""
        assert (await viewer.get(f"/metrics?{query}")).status_code == 422
