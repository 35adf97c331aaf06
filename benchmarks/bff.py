"""``bff``: the dashboard from the cache beside a bare endpoint with the same bytes, and computed anew at 10 M rows."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.deliveries import SECRET
from benchmarks.figures import percentiles_ms, ratio
from benchmarks.load import Load, get, run_load
from benchmarks.machine import hardware, versions
from benchmarks.meter import Meter, cost, row_versions, vital_figures
from benchmarks.processes import Tds, address_in, child
from benchmarks.progress import tell
from benchmarks.report import Report
from benchmarks.seeding import ROWS_A_CHANGE, make_months, seed_history, seed_ledger, seed_waiting, vacuum
from benchmarks.server import BenchServer, bench_server, connected
from benchmarks.views import DASHBOARD, ENDPOINTS, UNLIMITED, Viewer, WrongAnswerError, make_token, viewing

__all__ = ["Options", "bff", "paired_ratio"]

_ENOUGH: Final = 20_000
_WARM_UP_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Old rows in all tables together; how many wait; connections; rounds of so many seconds; answers computed anew."""

    rows: int = 10_000_000
    waiting: int = 1_000
    connections: int = 32
    rounds: int = 5
    round_seconds: float = 3.0
    samples: int = 200


async def bff(options: Options) -> Report:
    """Measure a server process on a database full of history."""
    async with bench_server() as server:
        return await _report(server, options)


async def _report(server: BenchServer, options: Options) -> Report:
    before = hardware()
    with TemporaryDirectory(prefix="tds-bench-") as name:
        figures = await _measure(server, options, Path(name))
    return Report(
        benchmark="bff",
        hardware=before,
        versions=versions(server.version),
        settings={
            "server": server.kind,
            "history_rows": options.rows,
            "waiting": options.waiting,
            "connections": options.connections,
            "rounds": f"{options.rounds} of {options.round_seconds} s each way, alternating; ratios: medians of pairs",
            "processes": "1 tds serve --workers 0, 1 bare server of the same class, 1 load generator",
            "postgresql": server.settings,
        },
        figures=figures,
    )


async def _measure(server: BenchServer, options: Options, folder: Path) -> dict[str, Any]:
    async with server.fresh_database() as url, connected(url) as connection:
        await _seed(url, options)
        token = await make_token(url)
        tds = Tds(url, folder, TDS_ZOHO_WEBHOOK_SECRET=SECRET, **UNLIMITED)
        async with tds.server() as (api, host, port), viewing(host, port, token, connection) as viewer:
            meter = await Meter(connection, [api.pid]).prepare()
            before = await meter.read()
            anew = await _anew(viewer, options)
            after = await meter.read()
            asked = options.samples * len(ENDPOINTS)
            figures: dict[str, Any] = {**anew, "uncached_cost": cost(before, after, asked)}
            before = await meter.read()
            cached = await _Rounds(host, port, viewer, options, folder).measure()
            figures |= {**cached, "cached_cost": cost(before, await meter.read(), cached["items"])}
            memory = vital_figures([api.pid])
        return {**figures, "batch": 1, **await row_versions(connection), **memory}


async def _seed(url: str, options: Options) -> None:
    await make_months(url)
    await seed_ledger(url)
    await seed_history(url, first=0, total=options.rows // ROWS_A_CHANGE, tell=tell)
    await seed_waiting(url, options.waiting)
    tell("vacuum")
    await vacuum(url)


async def _anew(viewer: Viewer, options: Options) -> dict[str, Any]:
    """Every endpoint computed anew."""
    tell(f"every endpoint computed anew, {options.samples} times")
    times = await viewer.times_anew(ENDPOINTS, options.samples)
    found = {path.rpartition("/")[2]: percentiles_ms(seconds) for path, seconds in times.items()}
    return {
        "uncached_p50_ms": found["dashboard"]["p50_ms"],
        "uncached_p99_ms": found["dashboard"]["p99_ms"],
        "uncached": found,
    }


def paired_ratio(first: list[float], second: list[float]) -> float | None:
    """The median of ``first / second``, pair by pair: what drifts in between hits both of a pair."""
    pairs = [found for one, other in zip(first, second, strict=True) if (found := ratio(one, other)) is not None]
    return round(median(pairs), 4) if pairs else None


class _Rounds:
    """Short loads, alternating between what is to be compared."""

    def __init__(self, host: str, port: int, viewer: Viewer, options: Options, folder: Path) -> None:
        self._host = host
        self._port = port
        self._viewer = viewer
        self._options = options
        self._folder = folder
        self._answered = 0
        self._spent = 0.0
        self._latencies: list[float] = []

    async def measure(self) -> dict[str, Any]:
        """Bare against cached, 304 against 200, and what the generator can do at most."""
        answer = await self._viewer.ask(DASHBOARD)
        async with self._serving("bare", answer.body) as (host, port):
            bare = (host, port, get("/bare", host, authorization="Bearer none"))
            cached = (self._host, self._port, self._viewer.request(DASHBOARD))
            ok = await self._alternate({"bare": bare, "cached": cached}, status=200)
        seen = (self._host, self._port, self._viewer.request(DASHBOARD, if_none_match=answer.headers["etag"]))
        unchanged = await self._alternate({"cached": cached, "not_modified": seen})
        limit = await self._generator_limit(answer.body)
        fastest = max(*ok["bare"], *unchanged["not_modified"])
        return {
            "items": self._answered,
            "seconds": round(self._spent, 3),
            "items_per_second": round(median(ok["cached"]), 1),
            **percentiles_ms(self._latencies),
            "percentiles_are_of": "cached answers under full load",
            "body_bytes": len(answer.body),
            "bare_requests_per_second": round(median(ok["bare"]), 1),
            "cached_requests_per_second": round(median(ok["cached"]), 1),
            "cached_ratio_to_bare": paired_ratio(ok["cached"], ok["bare"]),
            "not_modified_requests_per_second": round(median(unchanged["not_modified"]), 1),
            "not_modified_ratio_to_ok": paired_ratio(unchanged["not_modified"], unchanged["cached"]),
            "rounds": {"bare": ok["bare"], "cached": ok["cached"], "not_modified": unchanged["not_modified"]},
            "generator_limit_requests_per_second": limit,
            "generator_is_the_limit": limit < max(_ENOUGH, 1.5 * fastest),
        }

    @asynccontextmanager
    async def _serving(self, module: str, content: bytes) -> AsyncGenerator[tuple[str, int]]:
        """A server of this package with a file to answer with: where it listens."""
        file = self._folder / f"{module}.body"
        file.write_bytes(content)
        command = [sys.executable, "-m", f"benchmarks.{module}", str(file)]
        async with child(module, command, environment={}, folder=self._folder) as started:
            yield address_in(started.lines[0])

    async def _alternate(
        self, ways: dict[str, tuple[str, int, bytes]], *, status: int | None = None
    ) -> dict[str, list[float]]:
        """Requests a second by way, a figure for each round."""
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(1, self._options.rounds + 1):
            tell(f"round {number} of {self._options.rounds}: {', '.join(ways)}")
            for name, (host, port, request) in ways.items():
                expected = status or (304 if name == "not_modified" else 200)
                found[name].append(await self._round(host, port, request, expected, cached=name == "cached"))
        return found

    async def _round(self, host: str, port: int, request: bytes, status: int, *, cached: bool) -> float:
        connections, seconds = self._options.connections, self._options.round_seconds
        await run_load(
            Load(host=host, port=port, requests=[request], connections=connections, seconds=_WARM_UP_SECONDS)
        )
        outcome = await run_load(
            Load(host=host, port=port, requests=[request], connections=connections, seconds=seconds)
        )
        if set(outcome.statuses) != {status}:
            raise WrongAnswerError(f"{request.split(b' ')[1]!r} answered not only {status}: {outcome.figures()}")
        self._answered += outcome.answered
        self._spent += outcome.ended - outcome.began
        if cached:
            self._latencies += outcome.latencies
        return outcome.per_second

    async def _generator_limit(self, body: bytes) -> float:
        """What the generator does against a server that does nothing."""
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        async with self._serving("echo", head + body) as (host, port):
            load = Load(
                host=host,
                port=port,
                requests=[self._viewer.request(DASHBOARD)],
                connections=self._options.connections,
                seconds=self._options.round_seconds,
            )
            return (await run_load(load)).per_second
