"""``ingest``: webhook receipts a second over HTTP, each one committed before its 202, none lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from app.cli.children import unless_ended
from benchmarks.deliveries import SECRET, http_request, item_bodies
from benchmarks.figures import percentiles_ms
from benchmarks.load import Load, Outcome, run_load
from benchmarks.machine import hardware, versions
from benchmarks.meter import Meter, cost, row_versions, vital_figures
from benchmarks.processes import Tds
from benchmarks.progress import tell
from benchmarks.report import Report
from benchmarks.server import BenchServer, bench_server, connected
from benchmarks.working import LostError

__all__ = ["Options", "ingest"]

_KNOWN: Final = "SELECT count(*) FROM tds_inbox_events WHERE id = ANY($1::uuid[]) AND status = 'pending'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Receipts of each case; connections of the closed loops; how many at once in a burst, and the pause between."""

    receipts: int = 6_000
    connections: Sequence[int] = (1, 16, 64)
    burst: int = 500
    burst_connections: int = 64
    pause: float = 0.5


async def ingest(options: Options) -> Report:
    """Measure every case on one server process without workers."""
    async with bench_server() as server:
        return await _report(server, options)


async def _report(server: BenchServer, options: Options) -> Report:
    before = hardware()
    with TemporaryDirectory(prefix="tds-bench-") as name:
        figures = await _measure(server, options, Path(name))
    return Report(
        benchmark="ingest",
        hardware=before,
        versions=versions(server.version),
        settings={
            "server": server.kind,
            "processes": "1 tds serve --workers 0; the load generator is a process of its own",
            "burst": f"{options.burst} at once over {options.burst_connections} connections, then {options.pause} s",
            "postgresql": server.settings,
        },
        figures=figures,
    )


async def _measure(server: BenchServer, options: Options, folder: Path) -> dict[str, Any]:
    async with server.fresh_database() as url, connected(url) as connection:
        tds = Tds(url, folder, TDS_ZOHO_WEBHOOK_SECRET=SECRET)
        async with tds.server() as (api, host, port):
            meter = await Meter(connection, [api.pid]).prepare()
            run = _Run(connection, meter, host, port)
            cases = await unless_ended(_cases(run, options), [api])
            memory = vital_figures([api.pid])
        rates = {name: case["items_per_second"] for name, case in cases.items()}
        best = max(cases, key=lambda name: cases[name]["items_per_second"])
        return {
            "items": run.sent,
            "batch": 1,
            "seconds": round(sum(case["seconds"] for case in cases.values()), 3),
            "items_per_second": rates[best],
            "best_case": best,
            "receipts_per_second": rates,
            "lost": 0,
            "cases": cases,
            **await row_versions(connection),
            **memory,
        }


async def _cases(run: _Run, options: Options) -> dict[str, dict[str, Any]]:
    cases = {
        f"connections_{number}": await run.case(options.receipts // (1 if number > 1 else 3), connections=number)
        for number in options.connections
    }
    cases["bursts"] = await run.case(
        options.receipts, connections=options.burst_connections, burst=options.burst, pause=options.pause
    )
    return cases


class _Run:
    """One case after the other, each with bodies of its own."""

    def __init__(self, connection: asyncpg.Connection[Any], meter: Meter, host: str, port: int) -> None:
        self._connection = connection
        self._meter = meter
        self._host = host
        self._port = port
        self.sent = 0

    async def case(
        self, receipts: int, *, connections: int, burst: int | None = None, pause: float = 0.0
    ) -> dict[str, Any]:
        """Send so many deliveries, and see that each one is in the inbox under the id that its answer told."""
        tell(f"{receipts:,} receipts over {connections} connections{f', {burst} at once' if burst else ''}")
        bodies = item_bodies(receipts, first=self.sent)
        load = Load(
            host=self._host,
            port=self._port,
            requests=[http_request(body, self._host) for body in bodies],
            connections=connections,
            burst=burst,
            pause=pause,
            keep_bodies=True,
        )
        self.sent += receipts
        before = await self._meter.read()
        outcome = await run_load(load)
        after = await self._meter.read()
        await self._check(outcome, receipts)
        seconds = sum(outcome.bursts) if outcome.bursts else outcome.ended - outcome.began
        return {
            "items": receipts,
            "connections": connections,
            "seconds": round(seconds, 3),
            "items_per_second": round(receipts / seconds, 1),
            **percentiles_ms(outcome.latencies),
            **({"bursts": len(outcome.bursts), **percentiles_ms(outcome.bursts, prefix="burst_")} if burst else {}),
            "resent": outcome.resent,
            "generator_cpu_seconds": round(outcome.cpu_seconds, 3),
            **cost(before, after, receipts),
        }

    async def _check(self, outcome: Outcome, receipts: int) -> None:
        """Raises LostError where the inbox and the answers do not agree."""
        answers = [orjson.loads(body) for body in outcome.bodies]
        ids = {UUID(one["event_id"]) for one in answers if one.get("status") == "accepted"}
        stored = await self._connection.fetchval(_KNOWN, list(ids))
        if outcome.refused() or not len(ids) == stored == receipts:
            raise LostError(
                f"of {receipts} deliveries {len(ids)} were accepted and {stored} are stored: {outcome.figures()}"
            )
