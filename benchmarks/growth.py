"""``growth``: what is asked all day, with little and with much history; then churn under a held snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from benchmarks.churn import Churn
from benchmarks.deliveries import SECRET
from benchmarks.figures import median_ms, percentiles_ms, ratio
from benchmarks.machine import hardware, versions
from benchmarks.meter import row_versions
from benchmarks.operations import CONTROL, Operations
from benchmarks.processes import Tds
from benchmarks.progress import tell
from benchmarks.report import Report
from benchmarks.seeding import make_months, seed_history, seed_ledger, seed_waiting, vacuum
from benchmarks.server import BenchServer, bench_server, connected
from benchmarks.views import UNLIMITED, make_token, viewing

__all__ = ["Options", "growth", "ratios"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Old changes at each measurement, in rising order; how many wait; how often each operation is timed."""

    rows: Sequence[int] = (10_000, 1_000_000)
    waiting: int = 500_000
    runs: int = 40
    batch: int = 100
    churn_seconds: float = 25.0


async def growth(options: Options) -> Report:
    """Measure at every size, then under churn."""
    async with bench_server() as server:
        return await _report(server, options)


async def _report(server: BenchServer, options: Options) -> Report:
    before = hardware()
    with TemporaryDirectory(prefix="tds-bench-") as name:
        sizes = await _measure(server, options, Path(name))
        figures = _figures(sizes, options)
        if options.churn_seconds > 0:
            figures["churn"] = await Churn(seconds=options.churn_seconds).measure(server, Path(name))
            figures["churn_last_to_first"] = figures["churn"]["last_to_first"]
    return Report(
        benchmark="growth",
        hardware=before,
        versions=versions(server.version),
        settings={
            "server": server.kind,
            "history": "inbox, queue, audit and event log: a row each for every change; over a year of partitions",
            "waiting": options.waiting,
            "runs_of_each_operation": options.runs,
            "views": "asked of tds serve over HTTP, the cache made stale before each question",
            "postgresql": server.settings,
        },
        figures=figures,
    )


async def _measure(server: BenchServer, options: Options, folder: Path) -> dict[int, dict[str, Any]]:
    """By size: every operation's median and percentiles."""
    async with server.fresh_database() as url, connected(url) as connection:
        await make_months(url)
        await seed_ledger(url)
        tell(f"seeding {options.waiting:,} waiting changes")
        await seed_waiting(url, options.waiting)
        token = await make_token(url)
        tds = Tds(url, folder, TDS_ZOHO_WEBHOOK_SECRET=SECRET, **UNLIMITED)
        found: dict[int, dict[str, Any]] = {}
        seeded = 0
        for rows in sorted(options.rows):
            await seed_history(url, first=seeded, total=rows - seeded, tell=tell)
            seeded = rows
            await vacuum(url)
            found[rows] = await _at_size(url, connection, tds, token, options)
        return found


async def _at_size(
    url: str, connection: asyncpg.Connection[Any], tds: Tds, token: str, options: Options
) -> dict[str, Any]:
    tell("measuring")
    async with tds.server() as (_, host, port), viewing(host, port, token, connection) as viewer:
        times = await Operations(url, viewer, batch=options.batch).times(options.runs)
    return {
        "medians_ms": {name: median_ms(seconds) for name, seconds in times.items()},
        "percentiles": {name: percentiles_ms(seconds) for name, seconds in times.items()},
        "spent_seconds": round(sum(map(sum, times.values())), 2),
        **await row_versions(connection),
    }


def ratios(fewest: Mapping[str, float], most: Mapping[str, float]) -> dict[str, float | None]:
    """Each operation's median with the most history, in those with the least."""
    return {name: ratio(most[name], value) for name, value in fewest.items()}


def _figures(sizes: dict[int, dict[str, Any]], options: Options) -> dict[str, Any]:
    fewest, most = min(sizes), max(sizes)
    found = ratios(sizes[fewest]["medians_ms"], sizes[most]["medians_ms"])
    known = {name: value for name, value in found.items() if value is not None and name != CONTROL}
    worst = max(known, key=lambda name: known[name])
    seconds = sum(size["spent_seconds"] for size in sizes.values())
    claims = sizes[most]["medians_ms"]["claim"] + sizes[most]["medians_ms"]["apply"]
    return {
        "items": most,
        "batch": options.batch,
        "seconds": round(seconds, 2),
        "items_per_second": round(options.batch / claims * 1000, 1),
        "items_per_second_is_of": "claim and apply in one process, at most history",
        "rows": sorted(sizes),
        "worst_ratio": known[worst],
        "worst_operation": worst,
        "control_ratio": found[CONTROL],
        "worst_ratio_beside_control": ratio(known[worst], found[CONTROL] or 1.0),
        "median_ratio": round(median(known.values()), 4),
        "ratios": found,
        "sizes": {str(rows): size for rows, size in sizes.items()},
    }
