"""Lists: pages, filters and what they refuse."""

from __future__ import annotations

from typing import Any, Final

import pytest
from httpx2 import AsyncClient

from app.core.database import Database
from app.core.ids import new_id
from app.core.orm import Base
from app.tds.types import EventStatus
from tests.support.pipeline import change, drain, enqueue
from tests.support.views import add, alert, letter, minutes_ago, run

pytestmark = pytest.mark.integration

LISTS: Final = ("/runs", "/alerts", "/dead-letter")
PAGED: Final = (*LISTS, "/jobs", "/audit", "/entities/product/1/timeline")


def made(path: str, amount: int) -> list[Base]:
    """Rows of a list, oldest first."""
    build = {"/runs": run, "/alerts": alert, "/dead-letter": letter}[path]
    return [build() for _ in range(amount)]


async def walk(client: AsyncClient, url: str) -> list[list[str]]:
    """The ids of each page, from this one to the last."""
    pages: list[list[str]] = []
    while url:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        pages.append([one["id"] for one in answer.json()])
        url = answer.links["next"]["url"] if "next" in answer.links else ""
        url = url.removeprefix("/api/bff/tds")
    return pages


class TestPages:
    """Pages by the ``Link`` header."""

    @pytest.mark.parametrize("path", LISTS)
    async def test_show_each_entry_once_newest_first(self, viewer: AsyncClient, database: Database, path: str) -> None:
        """Two and two and one; the last page has no link."""
        rows: list[Any] = made(path, 5)
        await add(database, *rows)
        newest_first = [str(one.id) for one in reversed(rows)]
        assert await walk(viewer, f"{path}?limit=2") == [newest_first[:2], newest_first[2:4], newest_first[4:]]

    @pytest.mark.parametrize("path", LISTS)
    async def test_are_not_moved_by_what_comes_meanwhile(
        self, viewer: AsyncClient, database: Database, path: str
    ) -> None:
        """The second page goes on where the first one ended, however much was added in between."""
        rows: list[Any] = made(path, 4)
        await add(database, *rows)
        first = await viewer.get(f"{path}?limit=2")
        await add(database, *made(path, 3))
        second = await viewer.get(first.links["next"]["url"].removeprefix("/api/bff/tds"))
        assert [one["id"] for one in second.json()] == [str(rows[1].id), str(rows[0].id)]

    async def test_keep_the_filters(self, viewer: AsyncClient, database: Database) -> None:
        """A page of customers leads to customers."""
        rows = [run(entity_type=kind) for kind in ("customer", "product") for _ in range(3)]
        await add(database, *rows)
        pages = await walk(viewer, "/runs?entity_type=customer&status=pending&limit=2")
        assert [len(page) for page in pages] == [2, 1]
        assert {one for page in pages for one in page} == {str(one.id) for one in rows[:3]}

    @pytest.mark.parametrize("path", PAGED)
    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=201",
            "limit=x",
            "cursor=x",
            "cursor=00000000-0000-4000-8000-000000000000",
            "tpye=product",
            "page=2",
        ],
    )
    async def test_refuse_what_they_do_not_understand(self, viewer: AsyncClient, path: str, query: str) -> None:
        """A filter that is misspelt must not show everything; the problem names the parameter."""
        answer = await viewer.get(f"{path}?{query}")
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        name = query.split("=", maxsplit=1)[0]
        unknown = name in {"tpye", "page"}
        told = answer.json()
        assert told["type"] == f"urn:tds:problem:{'unknown-parameter' if unknown else 'invalid-request'}"
        assert name in (told["detail"] if unknown else told["errors"][0]["field"])

    @pytest.mark.parametrize("path", ["/dashboard", "/entities", "/pauses", "/breakers"])
    async def test_routes_without_parameters_take_none(self, viewer: AsyncClient, path: str) -> None:
        """Nor does a cache fill up with answers to nonsense."""
        assert (await viewer.get(f"{path}?x=1")).status_code == 422


class TestRuns:
    """``GET /runs``."""

    async def test_filters(self, viewer: AsyncClient, database: Database) -> None:
        """By entity type, source, and one status or several."""
        ended = {"completed_at": minutes_ago(1)}
        await add(
            database,
            run(),
            run(entity_type="customer", status=EventStatus.FAILED, **ended),
            run(source="other", status=EventStatus.COMPLETED, **ended),
        )
        for query, amount in {
            "": 3,
            "entity_type=customer": 1,
            "source=other": 1,
            "status=failed": 1,
            "status=failed&status=completed": 2,
            "status=failed&entity_type=product": 0,
        }.items():
            assert len((await viewer.get(f"/runs?{query}")).json()) == amount, query
        assert (await viewer.get("/runs?status=broken")).status_code == 422

    async def test_a_run_that_waits_has_no_duration(self, viewer: AsyncClient, database: Database) -> None:
        """Neither a start nor a share of anything."""
        await add(database, run())
        (entry,) = (await viewer.get("/runs")).json()
        assert (entry["started_at"], entry["duration"], entry["progress_percentage"]) == (None, None, 0.0)

    async def test_a_run_under_way_has_both(self, viewer: AsyncClient, database: Database) -> None:
        """It has lasted until now; its share is of what was read so far."""
        await add(
            database,
            run(
                status=EventStatus.PROCESSING,
                started_at=minutes_ago(90),
                total_events=3,
                processed_events=1,
                successful_events=1,
            ),
        )
        (entry,) = (await viewer.get("/runs")).json()
        assert entry["duration"].startswith("1h30m")
        assert (entry["progress_percentage"], entry["processed"], entry["total"]) == (33.3, 1, 3)


class TestAlerts:
    """``GET /alerts``."""

    async def test_filters(self, viewer: AsyncClient, database: Database) -> None:
        """Active ones unless asked otherwise."""
        taken = {"acknowledged": True, "acknowledged_at": minutes_ago(1), "acknowledged_by": "ann"}
        await add(
            database,
            alert(),
            alert(severity="critical", rule="stale_processing"),
            alert(**taken),
            alert(is_active=False, resolved_at=minutes_ago(1)),
        )
        for query, amount in {
            "": 3,
            "severity=critical": 1,
            "rule=stale_processing": 1,
            "acknowledged=true": 1,
            "acknowledged=false": 2,
            "resolved=true": 1,
            "resolved=all": 4,
            "resolved=all&severity=error": 3,
        }.items():
            assert len((await viewer.get(f"/alerts?{query}")).json()) == amount, query
        assert (await viewer.get("/alerts?severity=fatal")).status_code == 422


class TestDeadLetters:
    """``GET /dead-letter`` and its sums."""

    async def test_filters(self, viewer: AsyncClient, database: Database) -> None:
        """Open ones unless asked otherwise; a count and a list agree."""
        await add(
            database,
            letter(),
            letter(entity_type="customer", source_entity_id="zoho-9", error_code="rule"),
            letter(resolved=True, resolved_at=minutes_ago(1), failure_reason="100% wrong"),
        )
        for query, amount in {
            "": 2,
            "entity_type=customer": 1,
            "source=zoho": 2,
            "source=other": 0,
            "source_entity_id=zoho-9": 1,
            "error_code=rule": 1,
            "text=sku": 2,
            "text=%25": 0,
            "resolved=true": 1,
            "resolved=all": 3,
            "resolved=all&source_entity_id=zoho-9": 1,
            "created_after=2020-01-01T00:00:00Z": 2,
            "created_before=2020-01-01T00:00:00Z": 0,
        }.items():
            assert len((await viewer.get(f"/dead-letter?{query}")).json()) == amount, query
            if "resolved" not in query:
                assert (await viewer.get(f"/dead-letter/count?{query}")).json() == {"count": amount}, query

    @pytest.mark.parametrize(
        "query",
        [
            "text=wrong&resolved=all",
            "error_code=rule&resolved=true",
            "created_after=2020-01-01",
            "created_before=0001-01-01T00:00:00%2B14:00",
            "resolved=maybe",
            "text=",
        ],
    )
    async def test_refuse_a_filter_that_means_nothing(self, viewer: AsyncClient, query: str) -> None:
        """A search through all history, a time without an offset, one before all calendars, a word for nothing."""
        assert (await viewer.get(f"/dead-letter?{query}")).status_code == 422

    async def test_are_grouped_by_how_they_failed(self, viewer: AsyncClient, database: Database) -> None:
        """The largest group first."""
        await add(database, letter(fingerprint="a"), *(letter(fingerprint="b") for _ in range(2)))
        groups = (await viewer.get("/dead-letter/groups")).json()
        assert [(one["fingerprint"], one["count"]) for one in groups] == [("b", 2), ("a", 1)]


class TestAudit:
    """``GET /audit``."""

    async def test_tells_who_changed_what(self, viewer: AsyncClient, database: Database) -> None:
        """A creation and an edit, newest first; money is text."""
        await enqueue(database, change("1", {"name": "a", "price": "12.00"}, minutes=1))
        await drain(database)
        await enqueue(database, change("1", {"price": "12.50"}, minutes=2))
        await drain(database)
        newest, oldest, *_ = (await viewer.get("/audit")).json()
        assert (oldest["operation"], newest["operation"]) == ("create", "update")
        assert (newest["before"], newest["after"]) == ({"price": "12"}, {"price": "12.5"})
        assert (newest["changed_fields"], newest["change_source"]) == (["price"], "zoho")
        mine = await viewer.get("/audit", params={"entity_id": newest["entity_id"], "entity_type": "product"})
        assert [one["id"] for one in mine.json()] == [newest["id"], oldest["id"]]
        by_persons = (await viewer.get("/audit?manual=true")).json()
        assert {one["entity_type"] for one in by_persons} == {"api_token"}  # the viewer's own
        assert (await viewer.get(f"/audit?entity_id={new_id()}")).json() == []
