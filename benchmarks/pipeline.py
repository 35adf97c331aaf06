"""``pipeline``: deliveries stored, validated and applied, with audit and events, beside the bulk-load limit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import asyncpg

from app.cli.children import unless_ended
from benchmarks.bulk import bulk_limit, export_rows
from benchmarks.deliveries import SECRET, item_bodies
from benchmarks.figures import per, ratio
from benchmarks.machine import hardware, versions
from benchmarks.meter import Meter, cost, row_versions, transactions, vital_figures
from benchmarks.processes import Tds
from benchmarks.progress import tell
from benchmarks.report import Report
from benchmarks.server import BenchServer, bench_server, connected
from benchmarks.statements import statements_by_batch
from benchmarks.storing import Way, store
from benchmarks.working import Held, check_nothing_lost, held_workers, wait_until_done

__all__ = ["Options", "measure_pipeline", "pipeline"]

_SHARES: Final = ("p50_ms", "p95_ms", "p99_ms")
_LATENCIES: Final = """
    SELECT percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP
           (ORDER BY greatest(0, round(extract(epoch FROM completed_at - CAST($1 AS timestamptz)) * 1000, 1)::float8))
    FROM tds_inbox_events
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much, by how many worker processes, in what batches, stored in which way."""

    items: int = 30_000
    workers: int = 2
    batch: int = 1_000
    way: Way = Way.RECORDS


async def pipeline(options: Options) -> Report:
    """Measure the pipeline, then the bulk-load limit with its final rows."""
    async with bench_server() as server:
        return await _report(server, options)


async def _report(server: BenchServer, options: Options) -> Report:
    before = hardware()
    with TemporaryDirectory(prefix="tds-bench-") as name:
        folder = Path(name)
        figures, exported = await measure_pipeline(server, options, folder, export=True)
        tell("bulk-load limit: the same rows by COPY")
        figures |= await bulk_limit(server, exported, options.items)
    figures["ratio"] = ratio(figures["items_per_second"], figures["bulk_limit_items_per_second"])
    apply_rate = figures["phases"]["validate_apply"]["items_per_second"]
    figures["validate_apply_ratio"] = ratio(apply_rate, figures["bulk_limit_items_per_second"])
    tell("statements of batches of several sizes")
    counted = await statements_by_batch(server, sizes=sorted({10, 100, 1_000, options.batch}))
    figures["statements_per_batch"] = counted
    figures["statements_counted_by"] = "pg_stat_statements"
    if figures["statements_per_item"] is None:
        full = counted[str(options.batch)]
        figures["statements_per_item"] = per(full["store"] + full["take_apply"], options.batch, places=4)
        figures["statements_counted_by"] = "what the application sends for a full batch: no pg_stat_statements"
    return Report(
        benchmark="pipeline",
        hardware=before,
        versions=versions(server.version),
        settings={
            "server": server.kind,
            "worker_processes": options.workers,
            "store": options.way.told(options.batch),
            "postgresql": server.settings,
        },
        figures=figures,
    )


async def measure_pipeline(
    server: BenchServer, options: Options, folder: Path, *, export: bool = False
) -> tuple[dict[str, Any], list[Any]]:
    """The figures of one run on a fresh database, and its final rows if wanted.

    Raises:
        LostError: not every item is there at the end.
    """
    async with server.fresh_database() as url, connected(url) as connection:
        tds = Tds(url, folder, TDS_QUEUE_BATCH_SIZE=str(options.batch), TDS_ZOHO_WEBHOOK_SECRET=SECRET)
        tell(f"making {options.items:,} deliveries")
        bodies = list(item_bodies(options.items))
        before = await transactions(connection)
        async with held_workers(url, tds, options.workers) as held:
            stored = await _store(connection, url, tds, bodies, options)
            applied = await unless_ended(_apply(connection, held, options), held.children)
        figures = await _figures(connection, options, stored, applied)
        figures["transactions_per_item"] = per(await transactions(connection) - before, options.items, places=4)
        figures["bytes_per_body"] = round(sum(map(len, bodies)) / len(bodies), 1)
        return figures, await export_rows(url, folder) if export else []


async def _store(
    connection: asyncpg.Connection[Any], url: str, tds: Tds, bodies: list[bytes], options: Options
) -> dict[str, Any]:
    tell(f"storing them: {options.way.told(options.batch)}")
    meter = await Meter(connection).prepare()
    before = await meter.read()
    outcome = await store(options.way, url, tds, bodies, options.batch)
    after = await meter.read()
    seconds = after.at - before.at if outcome is None else outcome.ended - outcome.began
    over_http = {} if outcome is None else {"http": outcome.figures()}
    return {
        "seconds": round(seconds, 3),
        "items_per_second": round(options.items / seconds, 1),
        **cost(before, after, options.items),
        **over_http,
    }


async def _apply(connection: asyncpg.Connection[Any], held: Held, options: Options) -> dict[str, Any]:
    """Validation and application, from the moment at which every worker process may begin."""
    tell(f"validating and applying by {options.workers} worker processes")
    pids = [child.pid for child in held.children]
    meter = await Meter(connection, pids).prepare()
    await held.ready()
    before, began = await meter.read(), await connection.fetchval("SELECT clock_timestamp()")
    await held.begin()
    ended = await wait_until_done(connection)
    after = await meter.read()
    seconds = ended - before.at
    return {
        "seconds": round(seconds, 3),
        "items_per_second": round(options.items / seconds, 1),
        **cost(before, after, options.items),
        "counted_by": meter.counts,
        **vital_figures(pids),
        **dict(zip(_SHARES, await connection.fetchval(_LATENCIES, began), strict=True)),
    }


async def _figures(
    connection: asyncpg.Connection[Any], options: Options, stored: dict[str, Any], applied: dict[str, Any]
) -> dict[str, Any]:
    rows = await check_nothing_lost(connection, options.items)
    seconds = stored["seconds"] + applied["seconds"]
    both = {
        name: None if stored[name] is None or applied[name] is None else round(stored[name] + applied[name], 4)
        for name in ("wal_bytes_per_item", "statements_per_item")
    }
    return {
        "items": options.items,
        "batch": options.batch,
        "seconds": round(seconds, 3),
        "items_per_second": round(options.items / seconds, 1),
        **{name: applied[name] for name in _SHARES},
        "percentiles_are_of": "an item's wait and work, from when the workers begin; all are stored before that",
        **both,
        **await row_versions(connection),
        "cpu_seconds": _sum(stored["cpu_seconds"], applied["cpu_seconds"]),
        "phases": {"store": stored, "validate_apply": applied},
        "final_rows": rows,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _sum(first: dict[str, float | None], second: dict[str, float | None]) -> dict[str, float | None]:
    return {
        name: None if (one := first[name]) is None or (other := second[name]) is None else round(one + other, 3)
        for name in first
    }
