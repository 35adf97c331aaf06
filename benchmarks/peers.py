"""``peers``: the same audited upsert as one job each in other queues, on the same server, in the same run.

Each peer is tried at several levels (jobs at a time), and counts with its best. TDS is measured by the ``pipeline``
benchmark's second phase: from raw event to row, audit and event, with validation, ledger and lease on top.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import asyncpg
import orjson

from app.cli.children import Child, unless_ended
from app.core.errors import ConfigurationError
from benchmarks.deliveries import item_bodies
from benchmarks.figures import ratio
from benchmarks.machine import hardware, versions
from benchmarks.meter import Meter, cost, row_versions, vital_figures
from benchmarks.pipeline import Options as PipelineOptions
from benchmarks.pipeline import measure_pipeline
from benchmarks.processes import ROOT, child
from benchmarks.progress import tell
from benchmarks.redis_server import VARIABLE, redis_available, redis_server
from benchmarks.report import Report
from benchmarks.server import BenchServer, bench_server, connected
from benchmarks.working import LostError

__all__ = ["PEERS", "Options", "Peer", "best", "peers"]

PYTHON: Final = ROOT / ".venv-peers" / "bin" / "python"
_LOOK_SECONDS: Final = 0.02
_LONGEST_SECONDS: Final = 600.0
_DONE: Final = "SELECT count(*) FROM tds_audit_trail"
_ROWS: Final = "SELECT (SELECT count(*) FROM erp_products), (SELECT count(*) FROM event_log)"
_VERSIONS: Final = (
    "import json, sys; from importlib.metadata import version; "
    "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A queue: its module in `benchmarks.peer_jobs`, the levels to try, and what a level is in its words."""

    name: str
    module: str
    packages: Sequence[str]
    levels: Sequence[int]
    level_is: str
    redis: bool = False
    one_command: bool = False


PEERS: Final = (
    Peer(
        name="pgqueuer",
        module="with_pgqueuer",
        packages=("pgqueuer", "asyncpg"),
        levels=(10, 50, 200),
        level_is="batch_size",
    ),
    Peer(
        name="procrastinate",
        module="with_procrastinate",
        packages=("procrastinate", "psycopg"),
        levels=(10, 30),
        level_is="concurrency",
    ),
    Peer(
        name="taskiq_redis",
        module="with_taskiq",
        packages=("taskiq", "taskiq-redis", "redis"),
        levels=(20, 100),
        level_is="max_async_tasks and max_prefetch",
        redis=True,
        one_command=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Jobs for each try of a peer, items for TDS, worker processes for all, TDS's batch, and which peers."""

    items: int = 3_000
    tds_items: int = 20_000
    workers: int = 2
    batch: int = 1_000
    names: Sequence[str] = tuple(peer.name for peer in PEERS)


async def peers(options: Options) -> Report:
    """Measure TDS and its peers.

    Raises:
        ConfigurationError: the peers are not installed.
    """
    if not PYTHON.exists():
        raise ConfigurationError("the peers are not installed: run make .venv-peers/ready")
    async with bench_server() as server:
        return await _report(server, options)


async def _report(server: BenchServer, options: Options) -> Report:
    before = hardware()
    with TemporaryDirectory(prefix="tds-bench-") as name:
        folder = Path(name)
        figures = await _measure(server, options, folder)
    packages = [package for peer in PEERS for package in peer.packages]
    return Report(
        benchmark="peers",
        hardware=before,
        versions={**versions(server.version), "peers": await _peer_versions(packages)},
        settings={
            "server": server.kind,
            "worker_processes": options.workers,
            "job": "row upsert, audit row and event row in TDS's own tables: one statement, one commit a job",
            "clock": "from when all worker processes are ready to the last audit row; enqueueing does not count",
            "redis": "appendonly yes, appendfsync always",
            "postgresql": server.settings,
        },
        figures=figures,
    )


async def _measure(server: BenchServer, options: Options, folder: Path) -> dict[str, Any]:
    file = folder / "bodies"
    file.write_bytes(b"\n".join(item_bodies(options.items)))
    details: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for peer in (peer for peer in PEERS if peer.name in options.names):
        if peer.redis and not redis_available():
            skipped[peer.name] = f"there is no redis-server on the path, and no {VARIABLE}"
            continue
        details[peer.name] = await _try_levels(server, peer, options, folder)
    tell(f"tds: {options.tds_items:,} items")
    chosen = PipelineOptions(items=options.tds_items, workers=options.workers, batch=options.batch)
    tds, _ = await measure_pipeline(server, chosen, folder)
    applied = tds["phases"]["validate_apply"]
    rates = {"tds": applied["items_per_second"]} | {name: found["items_per_second"] for name, found in details.items()}
    strongest, rate = best({name: rate for name, rate in rates.items() if name != "tds"})
    return {
        "items": options.items,
        "batch": options.batch,
        "seconds": round(sum(found["seconds"] for found in details.values()) + applied["seconds"], 2),
        "items_per_second": rates,
        "best_peer": strongest,
        "ratio_to_best_peer": ratio(rates["tds"], rate),
        "tds_items_per_second_with_store": tds["items_per_second"],
        "skipped": skipped,
        "peers": details,
        "tds": {name: tds[name] for name in ("items", "batch", "phases", "dead_tuples", "wal_bytes_per_item")},
    }


def best(rates: dict[str, float]) -> tuple[str | None, float]:
    """The name with the highest rate, and that rate; None and 0 where there is none."""
    if not rates:
        return None, 0.0
    name = max(rates, key=lambda name: rates[name])
    return name, rates[name]


async def _try_levels(server: BenchServer, peer: Peer, options: Options, folder: Path) -> dict[str, Any]:
    tries: dict[str, dict[str, Any]] = {}
    for level in peer.levels:
        tell(f"{peer.name}: {options.items:,} jobs, {peer.level_is} {level}")
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(server.fresh_database())
            environment = {
                "PYTHONPATH": str(ROOT),
                "BENCH_DATABASE_URL": url,
                "BENCH_BODIES": str(folder / "bodies"),
                "BENCH_LEVEL": str(level),
                "BENCH_PROCESSES": str(options.workers),
            }
            if peer.redis:
                environment["BENCH_REDIS_URL"] = await stack.enter_async_context(redis_server(folder))
            tries[str(level)] = await _try(url, peer, options, environment, folder)
    chosen, _ = best({level: found["items_per_second"] for level, found in tries.items()})
    return {"level_is": peer.level_is, "best_level": chosen, **tries[str(chosen)], "tries": tries}


async def _try(url: str, peer: Peer, options: Options, environment: dict[str, str], folder: Path) -> dict[str, Any]:
    command = [str(PYTHON), "-m", f"benchmarks.peer_jobs.{peer.module}"]
    began = time.perf_counter()
    async with child(f"{peer.name} fill", [*command, "fill"], environment=environment, folder=folder, lines=0) as one:
        if await one.process.wait() != 0:
            await one.wait_ended()
    filled = time.perf_counter() - began
    async with connected(url) as connection:
        await connection.execute("VACUUM (ANALYZE)")
        async with _workers(peer, options.workers, [*command, "work"], environment, folder) as children:
            meter = await Meter(connection, [started.pid for started in children]).prepare()
            found = await unless_ended(_until_done(connection, meter, options.items), children)
            found |= vital_figures([process.pid for process in meter.processes[1:]])
        return {**found, "fill_seconds_with_start": round(filled, 2), **await row_versions(connection)}


@asynccontextmanager
async def _workers(
    peer: Peer, processes: int, command: Sequence[str], environment: dict[str, str], folder: Path
) -> AsyncGenerator[list[Child]]:
    """The peer's worker processes, all ready: started by us, or by one command of its own."""
    commands, lines = (1, processes) if peer.one_command else (processes, 1)
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            starting = [
                group.create_task(
                    stack.enter_async_context(
                        child(f"{peer.name} {number}", command, environment=environment, folder=folder, lines=lines)
                    )
                )
                for number in range(1, commands + 1)
            ]
        yield [one.result() for one in starting]


async def _until_done(connection: asyncpg.Connection[Any], meter: Meter, items: int) -> dict[str, Any]:
    """The rate from now on: what was done while the processes started does not count, neither work nor time."""
    ahead = int(await connection.fetchval(_DONE))
    before = await meter.read()
    done = ahead
    async with asyncio.timeout(_LONGEST_SECONDS):
        while done < items:
            await asyncio.sleep(_LOOK_SECONDS)
            done = int(await connection.fetchval(_DONE))
    after = await meter.read()
    row = await connection.fetchrow(_ROWS)
    if row is None or row[0] != items or row[1] < items:
        raise LostError(f"of {items} jobs these rows are there (products, events): {row}")
    seconds = after.at - before.at
    return {
        "seconds": round(seconds, 3),
        "items_per_second": round((done - ahead) / seconds, 1),
        "done_before_the_clock": ahead,
        **cost(before, after, done - ahead),
    }


async def _peer_versions(packages: Sequence[str]) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        *(str(PYTHON), "-c", _VERSIONS, *packages), stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    told, _ = await process.communicate()
    return orjson.loads(told) if process.returncode == 0 else {"python": sys.version}
