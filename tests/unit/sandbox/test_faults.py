"""Faults and limits over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
import pytest

from app.sandbox.zoho.contract import Limits
from app.sandbox.zoho.limits import Budget
from app.sandbox.zoho.times import ORG_ZONE

Get = Callable[..., Awaitable[httpx2.Response]]
ITEMS = "/inventory/v1/items"


class TestFaults:
    """What a fault does to an answer."""

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ({"kind": "rate_limited"}, 429, 44),
            ({"kind": "rate_limited", "code": 43, "retry_after": 3600}, 429, 43),
            ({"kind": "rate_limited", "code": 45}, 429, 45),
            ({"kind": "rate_limited", "code": 1070}, 429, 1070),
            ({"kind": "server_error"}, 500, 1000),
            ({"kind": "error_200", "code": 9}, 200, 9),
            ({"kind": "unauthorized", "code": 14}, 401, 14),
            ({"kind": "not_found"}, 404, 1002),
        ],
    )
    async def test_answers_json_with_a_code(
        self, get: Get, http: httpx2.AsyncClient, fault: dict[str, object], status: int, code: int
    ) -> None:
        """Status, code, and Retry-After only where it was asked for."""
        await http.post("/_sandbox/faults", json=fault)
        answer = await get(ITEMS)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers.get("Retry-After") == ("3600" if "retry_after" in fault else None)

    async def test_html(self, get: Get, http: httpx2.AsyncClient) -> None:
        """A gateway answers without JSON."""
        await http.post("/_sandbox/faults", json={"kind": "html", "status": 502})
        answer = await get(ITEMS)
        assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")

    async def test_truncated(self, get: Get, http: httpx2.AsyncClient) -> None:
        """A complete answer with half a body."""
        whole = (await get(ITEMS)).content
        await http.post("/_sandbox/faults", json={"kind": "truncated", "fraction": 0.5})
        answer = await get(ITEMS)
        assert answer.content == whole[: len(whole) // 2]
        assert answer.status_code == 200

    async def test_wrong_content_type(self, get: Get, http: httpx2.AsyncClient) -> None:
        """The true body under a false name."""
        await http.post("/_sandbox/faults", json={"kind": "wrong_content_type"})
        answer = await get(ITEMS)
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.json()["code"] == 0

    async def test_count_skip_and_path(self, get: Get, http: httpx2.AsyncClient) -> None:
        """A fault skips, fires so often, and only where it is meant."""
        fault = {"kind": "server_error", "path": "/inventory/*", "skip": 1, "count": 2}
        await http.post("/_sandbox/faults", json=[fault])
        statuses = [(await get(ITEMS)).status_code for _ in range(4)]
        assert statuses == [200, 500, 500, 200]
        assert (await get("/books/v3/items")).status_code == 200
        assert (await http.get("/_sandbox/faults")).json()["faults"][0]["fired"] == 2

    async def test_leaves_tokens_alone_unless_meant(
        self, http: httpx2.AsyncClient, credentials: dict[str, str]
    ) -> None:
        """A star does not reach the token endpoint, its own path does."""
        await http.post("/_sandbox/faults", json={"kind": "server_error"})
        assert "access_token" in (await http.post("/oauth/v2/token", data=credentials)).json()
        throttled = {"kind": "token_throttled", "path": "/oauth/*", "status": 200, "localised": True}
        await http.post("/_sandbox/faults", json=throttled)
        answer = await http.post("/oauth/v2/token", data=credentials)
        assert (answer.status_code, answer.json()["status"]) == (200, "failure")

    async def test_clear(self, get: Get, http: httpx2.AsyncClient) -> None:
        """DELETE ends all faults."""
        await http.post("/_sandbox/faults", json={"kind": "server_error"})
        await http.delete("/_sandbox/faults")
        assert (await get(ITEMS)).status_code == 200


@dataclass
class HandTime:
    """Seconds and a date that pass when told."""

    seconds: float = 0.0
    date: datetime = datetime(2026, 1, 31, 23, 59, 50, tzinfo=ORG_ZONE)

    def clock(self) -> float:
        """Seconds."""
        return self.seconds

    def today(self) -> datetime:
        """The wall clock."""
        return self.date


class TestBudget:
    """Limits of the organisation, with a clock by hand."""

    @pytest.fixture
    def time(self) -> HandTime:
        """Ten seconds before midnight."""
        return HandTime()

    @pytest.fixture
    def budget(self, time: HandTime) -> Budget:
        """No limits yet."""
        return Budget(time.clock, time.today)

    @staticmethod
    def _codes(budget: Budget, calls: int) -> list[int]:
        return [0 if (error := budget.admit()) is None else error.code for _ in range(calls)]

    def test_per_minute_rolls(self, budget: Budget, time: HandTime) -> None:
        """The third call of a minute is refused, and passes when the first is a minute old."""
        budget.configure(Limits(per_minute=2))
        assert self._codes(budget, 3) == [0, 0, 44]
        time.seconds = 60
        assert self._codes(budget, 1) == [0]

    def test_burst_blocks(self, budget: Budget, time: HandTime) -> None:
        """The block lasts and tells how long."""
        budget.configure(Limits(burst=1, block_seconds=3600))
        assert self._codes(budget, 2) == [0, 43]
        time.seconds = 3500
        error = budget.admit()
        assert error is not None
        assert (error.code, budget.retry_after(error)) == (43, 100)
        time.seconds = 3600
        assert self._codes(budget, 1) == [0]

    def test_daily_ends_at_midnight(self, budget: Budget, time: HandTime) -> None:
        """Headers count down, the quota is empty, midnight refills it."""
        budget.configure(Limits(daily=2, used_today=1))
        assert self._codes(budget, 2) == [0, 45]
        assert budget.headers() == {
            "X-Rate-Limit-Limit": "2",
            "X-Rate-Limit-Remaining": "0",
            "X-Rate-Limit-Reset": "10",
        }
        time.date += timedelta(seconds=10)
        assert self._codes(budget, 1) == [0]

    def test_concurrency(self, budget: Budget) -> None:
        """Calls in process count, finished ones do not."""
        budget.configure(Limits(concurrency=1))
        budget.in_flight = 1
        assert self._codes(budget, 1) == [1070]
        budget.in_flight = 0
        assert self._codes(budget, 1) == [0]

    async def test_headers_are_sent_on_calls_of_an_organisation(self, get: Get, http: httpx2.AsyncClient) -> None:
        """Off by default; never on GET /organizations; off again in header-less mode."""
        assert "X-Rate-Limit-Limit" not in (await get(ITEMS)).headers
        await http.post("/_sandbox/limits", json={"daily": 1000})
        assert (await get(ITEMS)).headers["X-Rate-Limit-Remaining"] == "999"
        assert "X-Rate-Limit-Limit" not in (await get("/books/v3/organizations")).headers
        await http.post("/_sandbox/limits", json={"daily": 1, "headers": False})
        assert "X-Rate-Limit-Limit" not in (await get(ITEMS)).headers
        assert (await get(ITEMS)).json()["code"] == 45
