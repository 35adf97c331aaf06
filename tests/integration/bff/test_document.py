"""What the API's description says of the routes of phones and pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import TypeAdapter

from app.bff.router import CACHED_PATHS, PREFIX
from app.bff.views.alerts import AlertDetail, AlertEntry
from app.bff.views.dashboard import HealthView, QueueView
from app.bff.views.entities import EntityDetail, EntityStatusEntry
from app.bff.views.letters import DeadLetterEntry
from app.bff.views.metrics import MetricPoint
from app.bff.views.runs import RunDetail, RunEntry
from app.bff.views.watching import AuditTrailEntry, BreakerView, WorkerView
from app.core.database import Database
from app.core.epochs import VIEWS, raise_epoch
from tests.support.pipeline import change, drain, enqueue, statements
from tests.support.views import add, alert, letter, run

pytestmark = pytest.mark.integration

EXAMPLES: tuple[type[Any], ...] = (
    *(RunEntry, RunDetail, AlertEntry, AlertDetail, DeadLetterEntry, HealthView, QueueView, EntityStatusEntry),
    *(EntityDetail, MetricPoint, AuditTrailEntry, BreakerView, WorkerView),
)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def ours(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Those of phones and pages."""
    return [one for one in operations(document) if one[0].startswith(PREFIX)]


class TestOperations:
    """Each operation."""

    def test_has_a_name_that_no_other_has(self, application: FastAPI) -> None:
        """In the whole document, fit for a method of a generated client."""
        names = [operation["operationId"] for _, _, operation in operations(application.openapi())]
        assert len(names) == len(set(names)) > 60
        assert [name for name in names if not name.isidentifier() or not name[0].islower()] == []

    def test_says_who_may_and_how_it_refuses(self, application: FastAPI) -> None:
        """Viewers look, operators act; each refusal is a problem document; each has a sentence for people."""
        found = ours(application.openapi())
        assert len(found) > 35
        for path, method, operation in found:
            assert operation["x-role"] == ("viewer" if method == "get" else "operator"), path
            assert operation["description"], path
            refused = {status: one for status, one in operation["responses"].items() if status >= "400"}
            assert {"401", "403", "422", "429"} <= refused.keys(), path
            for status, one in refused.items():
                assert list(one["content"]) == ["application/problem+json"], (path, status)

    def test_says_what_it_answers(self, application: FastAPI) -> None:
        """A typed body; a list that pages has ``Link``, a cached one ``ETag`` and 304."""
        for path, method, operation in ours(application.openapi()):
            answer = next(one for status, one in operation["responses"].items() if status.startswith("2"))
            assert all(one["schema"] for one in answer["content"].values()), path
            parameters = {one["name"] for one in operation.get("parameters", [])}
            headers = answer.get("headers", {})
            assert ("Link" in headers) == ("cursor" in parameters), path
            assert ("ETag" in headers) == (method == "get" and path in CACHED_PATHS), path
            assert ("304" in operation["responses"]) == ("ETag" in headers), path

    @pytest.mark.parametrize("view", EXAMPLES)
    def test_shows_examples_that_are_true_to_the_types(self, view: type[Any]) -> None:
        """What an example shows, the view would write."""
        (example,) = view.model_config["json_schema_extra"]["examples"]
        adapter = TypeAdapter[Any](view)
        written = adapter.dump_python(adapter.validate_python(example), mode="json")
        assert list(written) == list(example)
        assert written == example


class TestCost:
    """How many statements an answer takes."""

    @pytest.mark.parametrize(
        "path",
        ["/dashboard", "/runs", "/alerts", "/dead-letter", "/entities", "/audit", "/entities/product/1/timeline"],
    )
    async def test_does_not_grow_with_what_is_shown(self, viewer: AsyncClient, database: Database, path: str) -> None:
        """One entry and twenty take the same: nothing is asked row by row."""
        assert (await viewer.get("/pauses")).status_code == 200  # from here on the viewer is known
        counts: list[int] = []
        for amount in (1, 19):
            await add(database, *(build() for build in (run, alert) for _ in range(amount)))
            await add(database, *(letter(source_entity_id="1") for _ in range(amount)))
            for _ in range(amount):
                await enqueue(database, change("1", {"name": f"{amount}"}))
            await drain(database)
            async with database.transaction() as session:
                raise_epoch(session, VIEWS)
            with statements(database) as sent:
                assert (await viewer.get(f"{path}{'' if path in {'/dashboard', '/entities'} else '?limit=100'}")).json()
            counts.append(sum(not one.startswith("SELECT name, epoch") for one in sent))
        assert counts[0] == counts[1] > 0
