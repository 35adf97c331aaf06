"""What people do: it happens, it is in the audit trail with who did it, and the next read of everybody shows it."""

from __future__ import annotations

from typing import Any, Final

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from app.bootstrap import Runtime
from app.core.database import Database
from app.core.ids import new_id
from app.core.models import CircuitBreaker
from app.core.orm import Base
from app.core.security.principals import Role
from app.main import create_app
from app.tds.types import EventStatus
from tests.integration.bff.conftest import client_of
from tests.support.letters import work
from tests.support.pipeline import change, drain, enqueue, rows, value
from tests.support.views import add, alert, letter, minutes_ago, run

pytestmark = pytest.mark.integration

NOBODY: Final = new_id()


async def audited(database: Database) -> list[tuple[str, str]]:
    """What people did and who, oldest first; tokens are not counted."""
    found = await rows(
        database,
        "SELECT entity_type, actor FROM tds_audit_trail"
        " WHERE change_source = 'manual' AND entity_type <> 'api_token' ORDER BY id",
    )
    return [(one["entity_type"], one["actor"]) for one in found]


def assert_refused(answer: Response, status: int, code: str) -> None:
    """A problem document with that status and type."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:tds:problem:{code}"


class TestRuns:
    """Starting, cancelling and resuming."""

    async def test_start_then_cancel_then_resume(self, operator: AsyncClient, database: Database) -> None:
        """Each shows in the next read, and stands in the audit trail with Ann's name."""
        assert (await operator.get("/runs")).json() == []
        started = await operator.post("/runs", json={"entity_type": "product", "mode": "full"})
        assert started.status_code == 202
        run_id = started.json()["id"]
        assert (started.json()["status"], started.json()["started_by"]) == ("pending", "ann")
        assert [one["id"] for one in (await operator.get("/runs")).json()] == [run_id]
        cancelled = await operator.post(f"/runs/{run_id}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        assert [one["status"] for one in (await operator.get("/runs")).json()] == ["cancelled"]
        resumed = await operator.post(f"/runs/{run_id}/resume")
        assert (resumed.status_code, resumed.json()["status"]) == (202, "pending")
        assert (await operator.get(f"/runs/{run_id}")).json() == resumed.json()
        assert await audited(database) == [("sync_run", "ann")] * 3

    async def test_refuses_what_cannot_be(self, operator: AsyncClient, database: Database) -> None:
        """A source and an entity that there are not, a second run, a run that has ended, and one that never was."""
        assert_refused(await operator.post("/runs", json={"entity_type": "bill"}), 422, "invalid")
        body = {"entity_type": "product", "source": "odoo"}
        assert_refused(await operator.post("/runs", json=body), 404, "unknown-source")
        assert (await operator.post("/runs", json={"entity_type": "product"})).status_code == 202
        assert_refused(await operator.post("/runs", json={"entity_type": "product"}), 409, "run-already-open")
        ended = run(status=EventStatus.COMPLETED, completed_at=minutes_ago(1))
        await add(database, ended)
        assert_refused(await operator.post(f"/runs/{ended.id}/cancel"), 409, "conflict")
        assert_refused(await operator.post(f"/runs/{ended.id}/resume"), 409, "conflict")
        for verb in ("cancel", "resume"):
            assert_refused(await operator.post(f"/runs/{NOBODY}/{verb}"), 404, "run-not-found")


class TestAlerts:
    """Taking alerts on, and closing them."""

    async def test_acknowledge_then_resolve(self, operator: AsyncClient, database: Database) -> None:
        """The list and the dashboard show it at once."""
        row = alert()
        await add(database, row)
        assert [one["acknowledged"] for one in (await operator.get("/alerts")).json()] == [False]
        taken = await operator.post(f"/alerts/{row.id}/acknowledge", json={"note": "on it"})
        assert (taken.json()["acknowledged_by"], taken.json()["acknowledgement_note"]) == ("ann", "on it")
        assert [one["acknowledged"] for one in (await operator.get("/alerts")).json()] == [True]
        assert (await operator.get("/dashboard")).json()["health"]["active_alerts"] == 1
        ended = await operator.post(f"/alerts/{row.id}/resolve")
        assert (ended.status_code, ended.json()["is_active"]) == (200, False)
        assert (await operator.get("/alerts")).json() == []
        assert (await operator.get("/dashboard")).json()["health"]["active_alerts"] == 0
        assert (await operator.get(f"/alerts/{row.id}")).json() == ended.json()
        assert await audited(database) == [("alert", "ann")] * 2

    async def test_refuses_what_is_over_or_never_was(self, operator: AsyncClient, database: Database) -> None:
        """There is nothing left to acknowledge."""
        row = alert(is_active=False, resolved_at=minutes_ago(1))
        await add(database, row)
        assert_refused(await operator.post(f"/alerts/{row.id}/acknowledge"), 409, "alert-ended")
        for verb in ("acknowledge", "resolve"):
            assert_refused(await operator.post(f"/alerts/{NOBODY}/{verb}"), 404, "alert-not-found")
        assert_refused(await operator.get(f"/alerts/{NOBODY}"), 404, "alert-not-found")


class TestOneLetter:
    """Mending a dead letter."""

    async def test_edit_then_try_then_reprocess(self, operator: AsyncClient, database: Database) -> None:
        """The way of a person: look, mend half, see what is wrong, mend, try, do."""
        await enqueue(database, change("1", {"sku": "s"}))
        await drain(database)
        (entry,) = (await operator.get("/dead-letter")).json()
        path = f"/dead-letter/{entry['id']}"
        seen = (await operator.get(path)).json()
        assert (seen["last_payload"], seen["local"], len(seen["attempts"])) == ({"sku": "s"}, None, 1)
        body: dict[str, Any] = {"payload": {"name": "a", "price": "much"}, "revision": seen["revision"]}
        half = (await operator.patch(path, json=body)).json()
        assert [one["field"] for one in half["problems"]] == ["price"]
        assert_refused(await operator.patch(path, json=body), 409, "letter-changed")
        whole = {"name": "a", "price": "12.50"}
        assert (await operator.post(f"{path}/validate", json={"payload": whole})).json() == {"problems": []}
        tried = (await operator.post(f"{path}/dry-run", json={"payload": whole})).json()
        assert (tried["outcome"], tried["after"]) == ("created", {"name": "a", "price": "12.5"})
        assert await value(database, "SELECT count(*) FROM erp_products") == 0
        done = await operator.post(f"{path}/reprocess", json={"payload": whole, "revision": half["revision"]})
        assert (done.status_code, done.json()["dead_letter_id"]) == (202, entry["id"])
        assert (await operator.get("/dead-letter")).json() == []
        await drain(database)
        assert await value(database, "SELECT price FROM erp_products") == 12.5
        assert (await operator.get(path)).json()["local"]["row"]["price"] == "12.500000"
        assert await audited(database) == [("dead_letter", "ann")] * 2

    async def test_resolve_with_a_note(self, operator: AsyncClient, database: Database) -> None:
        """It leaves the list of open ones; without a note, or twice, it is refused."""
        row = letter()
        await add(database, row)
        assert len((await operator.get("/dead-letter")).json()) == 1
        blank = await operator.post(f"/dead-letter/{row.id}/resolve", json={"note": " "})
        assert_refused(blank, 422, "invalid-request")
        ended = await operator.post(f"/dead-letter/{row.id}/resolve", json={"note": "was a test"})
        assert (ended.json()["resolution"], ended.json()["resolved_by"]) == ("manual", "ann")
        assert (await operator.get("/dead-letter")).json() == []
        again = await operator.post(f"/dead-letter/{row.id}/resolve", json={"note": "x"})
        assert_refused(again, 409, "dead-letter-resolved")

    async def test_of_an_unknown_id_says_so(self, operator: AsyncClient) -> None:
        """For whatever is asked of it."""
        asked: list[tuple[str, str, dict[str, Any] | None]] = [
            ("GET", "", None),
            ("PATCH", "", {"payload": {}}),
            ("POST", "/validate", None),
            ("POST", "/dry-run", None),
            ("POST", "/reprocess", {}),
            ("POST", "/resolve", {"note": "x"}),
        ]
        for method, path, body in asked:
            answer = await operator.request(method, f"/dead-letter/{NOBODY}{path}", json=body)
            assert_refused(answer, 404, "dead-letter-not-found")


class TestManyLetters:
    """Bulk actions, and the jobs they make."""

    async def test_count_first_then_reprocess(self, operator: AsyncClient, database: Database) -> None:
        """The job carries out what was counted, and its progress is told; another number stops it."""
        await add(database, *(letter(source_entity_id=f"p{one}", sync_queue_id=new_id()) for one in range(3)))
        criteria = {"entity_type": "product"}
        counted = (await operator.get("/dead-letter/count", params=criteria)).json()["count"]
        body = {"criteria": criteria, "expected_count": counted - 1}
        assert_refused(await operator.post("/dead-letter/bulk/reprocess", json=body), 409, "count-changed")
        asked = await operator.post("/dead-letter/bulk/reprocess", json={**body, "expected_count": counted})
        assert (asked.status_code, asked.json()["total"]) == (202, 3)
        await work(database)
        job = (await operator.get(f"/jobs/{asked.json()['id']}")).json()
        assert (job["status"], job["succeeded"], job["progress"]) == ("completed", 3, 1.0)
        assert (await operator.get("/dead-letter/count")).json() == {"count": 0}

    async def test_resolve_all_can_be_cancelled(self, operator: AsyncClient, database: Database) -> None:
        """Before a worker takes it up; an ended one cannot."""
        await add(database, letter())
        body: dict[str, Any] = {"criteria": {}, "note": "old"}
        job = (await operator.post("/dead-letter/bulk/resolve", json=body)).json()
        assert [one["id"] for one in (await operator.get("/jobs?open_only=true")).json()] == [job["id"]]
        cancelled = await operator.post(f"/jobs/{job['id']}/cancel")
        assert cancelled.json()["status"] == "cancelled"
        assert_refused(await operator.post(f"/jobs/{job['id']}/cancel"), 409, "conflict")
        assert (await operator.get("/jobs?open_only=true")).json() == []
        assert_refused(await operator.get(f"/jobs/{NOBODY}"), 404, "job-not-found")


class TestPausesAndBreakers:
    """Laying work aside, and closing breakers."""

    async def test_pause_then_resume(self, operator: AsyncClient, database: Database) -> None:
        """What there is not can neither be paused nor resumed."""
        paused = await operator.post("/pauses", json={"entity_type": "product", "note": "stocktaking"})
        assert (paused.status_code, paused.json()["created_by"]) == (200, "ann")
        assert (await operator.get("/pauses")).json() == [paused.json()]
        assert (await operator.delete("/pauses/zoho/product")).json() == {"awake": 0}
        assert (await operator.get("/pauses")).json() == []
        assert_refused(await operator.delete("/pauses/zoho/product"), 409, "not-paused")
        assert_refused(await operator.post("/pauses", json={"source": "odoo"}), 404, "unknown-source")
        assert await audited(database) == [("pause", "ann")] * 2

    async def test_reset_a_breaker(self, operator: AsyncClient, database: Database) -> None:
        """It is closed, and its failures are forgotten; the audit trail keeps them."""
        open_one: dict[str, Any] = {"state": "open", "failures": 5, "last_error": "503", "opened_at": minutes_ago(1)}
        await add(database, CircuitBreaker(name="zoho", **open_one))
        assert [one["state"] for one in (await operator.get("/breakers")).json()] == ["open"]
        closed = (await operator.post("/breakers/zoho/reset")).json()
        assert (closed["state"], closed["failures"], closed["opened_at"], closed["last_error"]) == (
            "closed",
            0,
            None,
            None,
        )
        assert (await operator.get("/breakers")).json() == [closed]
        (entry,) = (await operator.get("/audit?actor=ann&entity_type=breaker")).json()
        assert (entry["before"]["failures"], entry["after"]["failures"]) == (5, 0)
        assert_refused(await operator.post("/breakers/odoo/reset"), 404, "breaker-not-found")


class TestOtherProcesses:
    """An action in one process, a read in another."""

    async def test_show_it_in_their_next_read(
        self, runtime: Runtime, operator: AsyncClient, database: Database
    ) -> None:
        """Two applications with caches of their own on one database: neither shows what is over."""
        rows_made: list[Base] = [alert(), letter()]
        await add(database, *rows_made)
        other = Runtime(runtime.settings, runtime.database, runtime.doorbell, runtime.sources, runtime.targets)
        application: FastAPI = create_app(other)
        async with client_of(other, application, "vic", Role.VIEWER) as viewer:
            for path in ("/alerts", "/dead-letter"):
                assert (await viewer.get(path)).headers["x-cache"] == "MISS"
                assert (await viewer.get(path)).headers["x-cache"] == "HIT"
            (shown,) = (await viewer.get("/alerts")).json()
            await operator.post(f"/alerts/{shown['id']}/acknowledge")
            (shown,) = (await viewer.get("/alerts")).json()
            assert shown["acknowledged"] is True
            (entry,) = (await viewer.get("/dead-letter")).json()
            await operator.post(f"/dead-letter/{entry['id']}/resolve", json={"note": "x"})
            assert (await viewer.get("/dead-letter")).json() == []
        await other.settle()

    async def test_a_viewer_may_not_act(self, viewer: AsyncClient, database: Database) -> None:
        """Looking is not steering."""
        row = alert()
        await add(database, row)
        for path in (f"/alerts/{row.id}/resolve", "/dead-letter/bulk/reprocess", "/runs", "/breakers/zoho/reset"):
            answer = await viewer.post(path, json={})
            assert answer.status_code == 403, path
        assert await audited(database) == []
