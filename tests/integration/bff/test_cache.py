"""Cached views: one computation, the right headers, and stale as soon as somebody acts."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from app.bff.cache import View, ViewCache
from app.core.database import Database
from app.core.epochs import VIEWS, EpochReader, raise_epoch

PATH = "/api/bff/tds/dashboard"


def _request(query: str = "", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": PATH, "query_string": query.encode()}
    return Request(scope | {"headers": raw, "server": ("test", 80), "scheme": "http"})


class Counter:
    """Computes bodies that tell how often it was asked."""

    def __init__(self, padding: str = "") -> None:
        self.calls = 0
        self._padding = padding

    async def __call__(self) -> View:
        """The next body."""
        self.calls += 1
        await asyncio.sleep(0)
        return View(f'{{"n":{self.calls},"padding":"{self._padding}"}}'.encode())


Respond = Callable[..., Awaitable[Response]]


@pytest.fixture
def cache(database: Database) -> ViewCache:
    """A cache in memory."""
    return ViewCache(EpochReader(database))


async def _act(database: Database) -> None:
    async with database.transaction() as session:
        raise_epoch(session, VIEWS)


class TestKeeping:
    """When a view is computed, and when not."""

    async def test_the_second_reader_gets_the_kept_bytes(self, cache: ViewCache) -> None:
        """And is told so."""
        compute = Counter()
        first = await cache.respond(_request(), ttl=30, compute=compute)
        second = await cache.respond(_request(), ttl=30, compute=compute)
        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
        assert (first.body, compute.calls) == (second.body, 1)

    async def test_a_stampede_is_one_computation(self, cache: ViewCache) -> None:
        """A hundred readers at once."""
        compute = Counter()
        answers = await asyncio.gather(*(cache.respond(_request(), ttl=30, compute=compute) for _ in range(100)))
        assert (compute.calls, {answer.body for answer in answers}) == (1, {answers[0].body})

    async def test_each_query_has_its_own(self, cache: ViewCache) -> None:
        """Filters change the answer."""
        compute = Counter()
        one = await cache.respond(_request("limit=1"), ttl=30, compute=compute)
        two = await cache.respond(_request("limit=2"), ttl=30, compute=compute)
        assert one.body != two.body

    async def test_an_action_shows_in_the_next_read_of_every_process(
        self, cache: ViewCache, database: Database
    ) -> None:
        """No message has to arrive for that."""
        other, compute = ViewCache(EpochReader(database)), Counter()
        for process in (cache, other):
            await process.respond(_request(), ttl=30, compute=compute)
        await _act(database)
        for process in (cache, other):
            assert (await process.respond(_request(), ttl=30, compute=compute)).headers["x-cache"] == "MISS"

    async def test_what_was_computed_before_an_action_is_not_served_after_it(
        self, cache: ViewCache, database: Database
    ) -> None:
        """Even where the computation ends after the action."""
        begun, go_on, compute = asyncio.Event(), asyncio.Event(), Counter()

        async def slow() -> View:
            begun.set()
            await go_on.wait()
            return View(b'"old"')

        early = asyncio.ensure_future(cache.respond(_request(), ttl=30, compute=slow))
        await begun.wait()
        await _act(database)
        late = await cache.respond(_request(), ttl=30, compute=compute)
        go_on.set()
        assert ((await early).body, compute.calls) == (b'"old"', 1)
        assert (await cache.respond(_request(), ttl=30, compute=compute)).body == late.body

    async def test_it_ends_after_its_seconds(self, cache: ViewCache, monkeypatch: pytest.MonkeyPatch) -> None:
        """By the clock of the process."""
        now, compute = 1_000.0, Counter()
        monkeypatch.setattr("app.bff.cache.time.time", lambda: now)
        await cache.respond(_request(), ttl=30, compute=compute)
        now = 1_029.9
        assert (await cache.respond(_request(), ttl=30, compute=compute)).headers["x-cache"] == "HIT"
        now = 1_030.0
        assert (await cache.respond(_request(), ttl=30, compute=compute)).headers["x-cache"] == "MISS"

    async def test_an_error_reaches_all_who_wait_and_is_not_kept(self, cache: ViewCache) -> None:
        """The next one computes again."""

        async def broken() -> View:
            await asyncio.sleep(0)
            raise RuntimeError("no")

        results = await asyncio.gather(
            *(cache.respond(_request(), ttl=30, compute=broken) for _ in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [RuntimeError] * 3
        assert (await cache.respond(_request(), ttl=30, compute=Counter())).status_code == 200

    async def test_a_caller_who_hangs_up_does_not_take_the_answer_along(self, cache: ViewCache) -> None:
        """The others get it."""
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> View:
            begun.set()
            await go_on.wait()
            return View(b'"here"')

        first = asyncio.ensure_future(cache.respond(_request(), ttl=30, compute=slow))
        await begun.wait()
        second = asyncio.ensure_future(cache.respond(_request(), ttl=30, compute=slow))
        first.cancel()
        go_on.set()
        assert (await second).body == b'"here"'

    async def test_its_memory_is_bounded(self, database: Database) -> None:
        """Whoever varies the query endlessly pushes out old answers only."""
        cache, compute = ViewCache(EpochReader(database), megabytes=1), Counter(padding="x" * 100_000)
        for number in range(30):
            await cache.respond(_request(f"limit={number}"), ttl=30, compute=compute)
        newest = await cache.respond(_request("limit=29"), ttl=30, compute=compute)
        oldest = await cache.respond(_request("limit=0"), ttl=30, compute=compute)
        assert (newest.headers["x-cache"], oldest.headers["x-cache"]) == ("HIT", "MISS")


class TestAnswering:
    """What goes over the wire."""

    async def test_whoever_has_it_is_told_so(self, cache: ViewCache) -> None:
        """304 has no body, and the headers of the 200."""
        first = await cache.respond(_request(), ttl=30, compute=Counter())
        again = await cache.respond(_request(if_none_match=first.headers["etag"]), ttl=30, compute=Counter())
        assert (again.status_code, again.body) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert "content-length" not in again.headers

    @pytest.mark.parametrize("form", ['"other", {etag}', "*", '{etag}, W/"x"'])
    async def test_an_etag_may_stand_in_a_list(self, cache: ViewCache, form: str) -> None:
        """As RFC 9110 has it."""
        etag = (await cache.respond(_request(), ttl=30, compute=Counter())).headers["etag"]
        again = await cache.respond(_request(if_none_match=form.format(etag=etag)), ttl=30, compute=Counter())
        assert again.status_code == 304

    async def test_another_etag_gets_the_body(self, cache: ViewCache) -> None:
        """It is for another state."""
        answer = await cache.respond(_request(if_none_match='W/"feedbeef"'), ttl=30, compute=Counter())
        assert answer.status_code == 200

    async def test_phones_get_it_zipped(self, cache: ViewCache) -> None:
        """If they say so, and it is worth it."""
        compute = Counter(padding="x" * 2_000)
        plain = await cache.respond(_request(), ttl=30, compute=compute)
        zipped = await cache.respond(_request(accept_encoding="br, gzip;q=0.8"), ttl=30, compute=compute)
        refused = await cache.respond(_request(accept_encoding="gzip;q=0, br"), ttl=30, compute=compute)
        assert zipped.headers["content-encoding"] == "gzip"
        assert gzip.decompress(bytes(zipped.body)) == plain.body == refused.body
        assert "Accept-Encoding" in plain.headers["vary"]

    async def test_nobody_else_may_keep_it(self, cache: ViewCache) -> None:
        """And whoever keeps it asks first."""
        answer = await cache.respond(_request(), ttl=30, compute=Counter())
        assert answer.headers["cache-control"] == "private, no-cache"
