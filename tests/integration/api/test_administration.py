"""Administration over HTTP: closed without a token, and with it every order does what it says and is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from app.bootstrap import Runtime
from app.core.config import QueueSettings, ServerSettings
from app.core.database import Database
from app.core.security.principals import Role
from app.main import create_app
from app.tds.workers.jobs import JobRunner
from tests.integration.api.conftest import TOKEN
from tests.support.access import bearer, make_token
from tests.support.pipeline import change, drain, enqueue, rows, snapshot, value

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

BASE = "/api/tds"
LETTERS = f"{BASE}/dead-letters"
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def admin(client: AsyncClient, database: Database) -> AsyncClient:
    """The client with an admin's token, which is called Ann."""
    client.headers |= bearer(await make_token(database, Role.ADMIN, name="Ann"))
    return client


async def bury(database: Database, amount: int = 1) -> list[str]:
    """Products without a name, given up; the ids of their letters, oldest first."""
    await enqueue(database, *(change(f"{n}", {"sku": f"s{n}"}, minutes=1) for n in range(amount)))
    await drain(database)
    return [str(one["id"]) for one in await rows(database, "SELECT id FROM tds_dead_letter_queue ORDER BY id")]


async def work(runtime: Runtime) -> None:
    """What a worker process does about jobs, until none is open."""
    runner = JobRunner(runtime.database, runtime.sources, runtime.doorbell, QueueSettings(), "w")
    while await runner.step():
        pass


def assert_problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    """A problem document of this status and type."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:tds:problem:{code}"
    return answer.json()


class TestAccess:
    """Who gets in."""

    @pytest.fixture
    async def closed(self, runtime: Runtime) -> AsyncGenerator[AsyncClient]:
        """A client of a server that has no token at all."""
        settings = runtime.settings.model_copy(update={"server": ServerSettings()})
        closed = replace(runtime, settings=settings)
        async with AsyncClient(transport=ASGITransport(create_app(closed)), base_url="http://test") as client:
            yield client
        await closed.settle()

    async def test_is_closed_where_there_is_no_token(self, closed: AsyncClient) -> None:
        """No token of the caller's helps, an empty one least of all."""
        for header in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
            assert_problem(await closed.get(LETTERS, headers=header), 401, "unauthorized")

    async def test_the_token_of_the_settings_is_an_admins(self, client: AsyncClient, database: Database) -> None:
        """As it always was; it acts by the name admin."""
        (letter,) = await bury(database)
        answer = await client.post(f"{LETTERS}/{letter}/resolve", json={"note": "x"}, headers=bearer(TOKEN))
        assert answer.json()["resolved_by"] == "admin"

    @pytest.mark.parametrize(
        "header",
        ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"],
    )
    async def test_refuses_a_wrong_token(self, client: AsyncClient, header: str) -> None:
        """Whatever is sent in its place."""
        answer = await client.get(LETTERS, headers=[(b"authorization", header.encode())] if header else {})
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_reads_nothing_of_a_stranger(self, client: AsyncClient) -> None:
        """A body that is no JSON, of a stranger, is answered with 401: nobody has looked at it."""
        answer = await client.post(f"{LETTERS}/bulk/resolve", content=b"{" * 10_000)
        assert_problem(answer, 401, "unauthorized")

    async def test_refuses_a_body_that_is_too_large(self, admin: AsyncClient) -> None:
        """Two megabytes are enough for any document."""
        answer = await admin.patch(f"{LETTERS}/{NOBODY}", content=b" " * 3_000_000)
        assert_problem(answer, 413, "body-refused")

    async def test_leaves_webhooks_and_health_as_they_are(self, client: AsyncClient) -> None:
        """They have their own ways."""
        assert (await client.get("/health/live")).status_code == 200
        assert_problem(await client.post(f"{BASE}/webhooks/zoho", content=b"{}"), 401, "signature")


class TestLetters:
    """Looking at dead letters."""

    async def test_pages_by_a_link(self, admin: AsyncClient, database: Database) -> None:
        """Newest first, each letter once; the last page has no link."""
        ids = await bury(database, 5)
        url, seen = f"{LETTERS}?limit=2", list[str]()
        while url:
            answer = await admin.get(url)
            seen += [one["id"] for one in answer.json()["items"]]
            url = answer.links["next"]["url"] if "next" in answer.links else ""
        assert seen == ids[::-1]

    async def test_filters(self, admin: AsyncClient, database: Database) -> None:
        """By everything a list of letters is looked at for."""
        await bury(database, 3)
        for query, amount in {
            "source=zoho": 3,
            "source=other": 0,
            "entity_type=product": 3,
            "error_code=incomplete_document": 3,
            "source_entity_id=1": 1,
            "text=NEEDED to create": 3,
            "text=%": 0,
            "created_after=2020-01-01T00:00:00Z": 3,
            "created_before=2020-01-01T00:00:00Z": 0,
            "state=resolved": 0,
            "state=all": 3,
        }.items():
            assert (await admin.get(f"{LETTERS}/count?{query}")).json() == {"count": amount}, query
            assert len((await admin.get(f"{LETTERS}?{query}")).json()["items"]) == amount, query

    @pytest.mark.parametrize("query", ["limit=0", "limit=501", "cursor=x", "state=?", "tpye=product", "text=%00"])
    async def test_refuses_a_query_that_it_does_not_know(self, admin: AsyncClient, query: str) -> None:
        """A filter that is misspelt must not show everything."""
        assert (await admin.get(f"{LETTERS}?{query}")).status_code == 422

    async def test_groups_what_failed_alike(self, admin: AsyncClient, database: Database) -> None:
        """With a count, and one to look at."""
        await bury(database, 3)
        await enqueue(database, change("9", {"prise": 1}))
        await drain(database)
        first, second = (await admin.get(f"{LETTERS}/groups")).json()
        assert (first["count"], second["count"]) == (3, 1)
        assert (first["entity_type"], first["error_code"]) == ("product", "incomplete_document")
        assert "needed to create" in first["sample_reason"]
        fitting = await admin.get(LETTERS, params={"fingerprint": second["fingerprint"]})
        assert [one["id"] for one in fitting.json()["items"]] == [second["sample_id"]]

    async def test_of_an_unknown_id_says_so(self, admin: AsyncClient) -> None:
        """For whatever is asked of it."""
        asked: list[tuple[str, str, dict[str, Any] | None]] = [
            ("GET", "", None),
            ("PATCH", "", {"payload": {}}),
            ("POST", "/dry-run", None),
            ("POST", "/reprocess", {}),
            ("POST", "/resolve", {"note": "x"}),
        ]
        for method, path, body in asked:
            answer = await admin.request(method, f"{LETTERS}/{NOBODY}{path}", json=body)
            assert_problem(answer, 404, "dead-letter-not-found")


class TestOneLetter:
    """Mending a dead letter."""

    async def test_edit_then_dry_run_then_reprocess(self, admin: AsyncClient, database: Database) -> None:
        """The way of a person: look, mend, try, do."""
        (letter,) = await bury(database)
        seen = (await admin.get(f"{LETTERS}/{letter}")).json()
        assert (seen["original_payload"], seen["problems"]) == ({"sku": "s0"}, [])
        body = {"payload": {"name": "a", "price": "much"}, "revision": seen["revision"]}
        edited = (await admin.patch(f"{LETTERS}/{letter}", json=body)).json()
        assert [one["field"] for one in edited["problems"]] == ["price"]
        body = {"payload": {"name": "a", "price": "12.50"}, "revision": edited["revision"]}
        edited = (await admin.patch(f"{LETTERS}/{letter}", json=body)).json()
        before = await snapshot(database)
        tried = (await admin.post(f"{LETTERS}/{letter}/dry-run")).json()
        assert (tried["outcome"], tried["after"]) == ("created", {"name": "a", "price": "12.5"})
        assert await snapshot(database) == before
        answer = await admin.post(f"{LETTERS}/{letter}/reprocess", json={"revision": edited["revision"]})
        assert answer.status_code == 202
        await drain(database)
        assert await value(database, "SELECT name FROM erp_products") == "a"
        audit = await rows(
            database, "SELECT actor, changed_fields FROM tds_audit_trail WHERE entity_type = 'dead_letter' ORDER BY id"
        )
        assert [(one["actor"], one["changed_fields"][0]) for one in audit] == [
            ("Ann", "last_payload"),
            ("Ann", "last_payload"),
            ("Ann", "reprocessed_as"),
        ]

    async def test_says_who_was_faster(self, admin: AsyncClient, database: Database) -> None:
        """Two people edit one letter: the second is told of the first, and loses nothing of the first's work."""
        (letter,) = await bury(database)
        begun = (await admin.get(f"{LETTERS}/{letter}")).json()["revision"]
        mine = {"payload": {"name": "mine"}, "revision": begun}
        theirs = {"payload": {"name": "theirs"}, "revision": begun}
        bob = bearer(await make_token(database, Role.OPERATOR, name="Bob"))
        await admin.patch(f"{LETTERS}/{letter}", json=theirs, headers=bob)
        problem = assert_problem(await admin.patch(f"{LETTERS}/{letter}", json=mine), 409, "letter-changed")
        assert problem["detail"].startswith("Bob has changed")
        assert (await admin.get(f"{LETTERS}/{letter}")).json()["last_payload"] == {"name": "theirs"}

    async def test_names_each_field_that_is_wrong(self, admin: AsyncClient, database: Database) -> None:
        """A document that would only die again is refused, and the letter stays open."""
        (letter,) = await bury(database)
        body = {"payload": {"name": "a", "price": "much", "colour": "red"}}
        problem = assert_problem(await admin.post(f"{LETTERS}/{letter}/reprocess", json=body), 422, "mapping")
        assert {one["field"] for one in problem["errors"]} == {"price", "colour"}
        assert not (await admin.get(f"{LETTERS}/{letter}")).json()["resolved"]

    @pytest.mark.parametrize("payload", [{"name": "\x00"}, {"a\x00": 1}, {"name": ["\x00"]}])
    async def test_refuses_what_no_database_can_hold(
        self, admin: AsyncClient, database: Database, payload: dict[str, Any]
    ) -> None:
        """With a clear answer, never a 500."""
        (letter,) = await bury(database)
        assert_problem(await admin.patch(f"{LETTERS}/{letter}", json={"payload": payload}), 422, "invalid-request")

    async def test_resolves_once_with_a_note(self, admin: AsyncClient, database: Database) -> None:
        """Without one it does not, and twice it does not."""
        (letter,) = await bury(database)
        assert_problem(await admin.post(f"{LETTERS}/{letter}/resolve", json={"note": " "}), 422, "invalid-request")
        answer = await admin.post(f"{LETTERS}/{letter}/resolve", json={"note": "a test"})
        assert (answer.json()["resolved_by"], answer.json()["resolution_notes"]) == ("Ann", "a test")
        again = await admin.post(f"{LETTERS}/{letter}/resolve", json={"note": "a test"})
        assert_problem(again, 409, "dead-letter-resolved")

    async def test_the_actor_is_the_tokens_and_from_where_is_recorded(
        self, admin: AsyncClient, database: Database
    ) -> None:
        """Whatever the caller says of who acts: nobody is taken at their word."""
        (letter,) = await bury(database)
        await admin.post(f"{LETTERS}/{letter}/resolve", json={"note": "x"}, headers={"X-Actor": "Bob"})
        (row,) = await rows(database, "SELECT actor, origin FROM tds_audit_trail WHERE entity_type = 'dead_letter'")
        prefix = await value(database, "SELECT prefix FROM api_tokens")
        assert row == {"actor": "Ann", "origin": f"127.0.0.1, token {prefix}"}


class TestBulk:
    """Many letters at once."""

    async def test_reprocesses_all_that_fit(self, admin: AsyncClient, database: Database, runtime: Runtime) -> None:
        """A job with its total at once, and its progress later."""
        await bury(database, 3)
        body = {"criteria": {"entity_type": "product"}, "expected_count": 3}
        answer = await admin.post(f"{LETTERS}/bulk/reprocess", json=body)
        assert (answer.status_code, answer.json()["total"], answer.json()["status"]) == (202, 3, "pending")
        await work(runtime)
        job = (await admin.get(f"{BASE}/jobs/{answer.json()['id']}")).json()
        assert (job["status"], job["succeeded"], job["failed"], job["progress"]) == ("completed", 3, 0, 1.0)
        assert (await admin.get(f"{LETTERS}/count")).json() == {"count": 0}

    async def test_resolves_all_that_fit(self, admin: AsyncClient, database: Database, runtime: Runtime) -> None:
        """With the note, in the name of who asked."""
        await bury(database, 3)
        body = {"criteria": {"source_entity_id": "1"}, "note": "ours"}
        assert (await admin.post(f"{LETTERS}/bulk/resolve", json=body)).json()["total"] == 1
        await work(runtime)
        resolved = await rows(database, "SELECT * FROM tds_dead_letter_queue WHERE resolved")
        assert [(one["resolved_by"], one["resolution_notes"]) for one in resolved] == [("Ann", "ours")]

    async def test_does_nothing_if_another_number_fits_by_now(self, admin: AsyncClient, database: Database) -> None:
        """What a person agreed to was a number."""
        await bury(database, 3)
        answer = await admin.post(f"{LETTERS}/bulk/reprocess", json={"criteria": {}, "expected_count": 2})
        assert_problem(answer, 409, "count-changed")
        assert (await admin.get(f"{BASE}/jobs")).json()["items"] == []

    async def test_can_be_cancelled(self, admin: AsyncClient, database: Database, runtime: Runtime) -> None:
        """Then nothing more is done, and it cannot be cancelled again."""
        await bury(database, 2)
        job = (await admin.post(f"{LETTERS}/bulk/reprocess", json={"criteria": {}})).json()["id"]
        assert (await admin.post(f"{BASE}/jobs/{job}/cancel")).json()["status"] == "cancelled"
        await work(runtime)
        assert (await admin.get(f"{LETTERS}/count")).json() == {"count": 2}
        assert_problem(await admin.post(f"{BASE}/jobs/{job}/cancel"), 409, "conflict")
        assert_problem(await admin.get(f"{BASE}/jobs/{NOBODY}"), 404, "job-not-found")

    @pytest.mark.parametrize("criteria", [{"resolved": True}, {"created_after": "2026-01-01T00:00:00"}, {"text": ""}])
    async def test_refuses_criteria_that_it_does_not_know(self, admin: AsyncClient, criteria: dict[str, Any]) -> None:
        """A naive time, an empty text, an unknown name: none may widen what is meant."""
        answer = await admin.post(f"{LETTERS}/bulk/reprocess", json={"criteria": criteria})
        assert_problem(answer, 422, "invalid-request")


class TestRuns:
    """Runs over HTTP."""

    async def test_starts_cancels_and_resumes(self, admin: AsyncClient) -> None:
        """One at a time for an entity."""
        answer = await admin.post(f"{BASE}/runs", json={"entity_type": "product", "mode": "full"})
        run = answer.json()
        assert (answer.status_code, run["status"], run["started_by"]) == (202, "pending", "Ann")
        assert (run["progress"], run["eta_seconds"]) == (None, None)
        again = await admin.post(f"{BASE}/runs", json={"entity_type": "product"})
        assert_problem(again, 409, "run-already-open")
        cancelled = (await admin.post(f"{BASE}/runs/{run['id']}/cancel")).json()
        assert cancelled["status"] == "cancelled"
        assert "Ann" in cancelled["error_summary"]
        assert (await admin.post(f"{BASE}/runs/{run['id']}/resume")).json()["status"] == "pending"
        listed = (await admin.get(f"{BASE}/runs?status=pending&status=failed&entity_type=product")).json()["items"]
        assert [one["id"] for one in listed] == [run["id"]]
        assert_problem(await admin.post(f"{BASE}/runs/{NOBODY}/cancel"), 404, "run-not-found")

    async def test_tells_progress_and_the_time_that_is_left(self, admin: AsyncClient, database: Database) -> None:
        """Once the size of a run is known."""
        run = (await admin.post(f"{BASE}/runs", json={"entity_type": "product"})).json()["id"]
        await rows(
            database,
            "UPDATE tds_sync_runs SET status = 'processing', scan_completed = true, total_events = 100,"
            " processed_events = 25, successful_events = 25, started_at = now() - interval '10 s' RETURNING 1",
        )
        seen = (await admin.get(f"{BASE}/runs/{run}")).json()
        assert seen["progress"] == 0.25
        assert 29 <= seen["eta_seconds"] <= 33

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"source": "shop", "entity_type": "product"}, 404),
            ({"entity_type": "bill"}, 422),
            ({"entity_type": "product", "mode": "half"}, 422),
            ({}, 422),
        ],
    )
    async def test_refuses_what_there_is_not(self, admin: AsyncClient, body: dict[str, Any], status: int) -> None:
        """A source, an entity, a mode."""
        assert (await admin.post(f"{BASE}/runs", json=body)).status_code == status


class TestPauses:
    """Pauses over HTTP."""

    async def test_pauses_and_resumes(self, admin: AsyncClient, database: Database) -> None:
        """What is laid aside is applied after the end of the pause, and both are recorded."""
        body = {"entity_type": "product", "note": "stocktaking"}
        assert (await admin.post(f"{BASE}/pauses", json=body)).json()["created_by"] == "Ann"
        await enqueue(database, change("1", {"name": "a"}))
        await drain(database)
        assert await value(database, "SELECT count(*) FROM erp_products") == 0
        (paused,) = (await admin.get(f"{BASE}/pauses")).json()
        assert (paused["mode"], paused["note"]) == ("pause", "stocktaking")
        assert (await admin.delete(f"{BASE}/pauses/zoho/product")).json() == {"awake": 1}
        await drain(database)
        assert await value(database, "SELECT count(*) FROM erp_products") == 1
        audit = "SELECT actor, entity_id FROM tds_audit_trail WHERE entity_type = 'pause'"
        assert await rows(database, audit) == [{"actor": "Ann", "entity_id": "zoho:product"}] * 2

    async def test_drains_everything_of_a_source(self, admin: AsyncClient) -> None:
        """``*`` is every entity type, in the address as well."""
        assert (await admin.post(f"{BASE}/pauses", json={"mode": "drain"})).json()["entity_type"] == "*"
        assert (await admin.delete(f"{BASE}/pauses/zoho/*")).status_code == 200
        assert_problem(await admin.delete(f"{BASE}/pauses/zoho/*"), 409, "not-paused")

    @pytest.mark.parametrize(
        ("body", "status"), [({"source": "shop"}, 404), ({"entity_type": "prodct"}, 422), ({"mode": "stop"}, 422)]
    )
    async def test_refuses_what_there_is_not(self, admin: AsyncClient, body: dict[str, Any], status: int) -> None:
        """A pause that is misspelt pauses nothing, and must say so."""
        assert (await admin.post(f"{BASE}/pauses", json=body)).status_code == status


class TestBells:
    """Workers are woken."""

    async def test_rings_for_what_it_asks_for(self, admin: AsyncClient, database: Database, runtime: Runtime) -> None:
        """A job, a run and a queued item each wait for nobody's next look."""
        (letter,) = await bury(database)
        bells = {name: runtime.doorbell.subscribe(name) for name in ("queue", "jobs", "runs")}
        await admin.post(f"{LETTERS}/bulk/reprocess", json={"criteria": {}})
        await admin.post(f"{BASE}/runs", json={"entity_type": "product"})
        await admin.post(f"{LETTERS}/{letter}/reprocess", json={"payload": {"name": "a"}})
        async with asyncio.timeout(1):
            for bell in bells.values():
                await bell.wait()
