"""``latency``: webhook sent over HTTP -> row visible in the ERP, at fixed rates.

Open loop: every request has its time, whether or not earlier ones were answered, and its latency counts from that
time; so a stall is paid by all that were due during it (no coordinated omission). A row is seen by a connection of its
own, through NOTIFY from a trigger that the benchmark puts on the table: it arrives once the row's commit is visible.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from app.cli.children import unless_ended
from benchmarks.deliveries import SECRET, http_request, item_bodies, sku
from benchmarks.figures import percentiles_ms
from benchmarks.load import Load, Outcome, run_load
from benchmarks.machine import hardware, versions
from benchmarks.meter import Meter, cost, row_versions, vital_figures
from benchmarks.processes import Tds
from benchmarks.progress import tell
from benchmarks.report import Report
from benchmarks.server import BenchServer, bench_server, connected
from benchmarks.working import LostError, ready_workers

__all__ = ["Options", "latency"]

_CHANNEL: Final = "tds_bench_seen"
_PROBES: Final = 200
_PATIENCE_SECONDS: Final = 60.0
_TRIGGER: Final = f"""
    CREATE FUNCTION tds_bench_tell() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('{_CHANNEL}', NEW.sku);
        RETURN NULL;
    END $$;
    CREATE TRIGGER tds_bench_tell AFTER INSERT OR UPDATE ON erp_products
        FOR EACH ROW EXECUTE FUNCTION tds_bench_tell();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Rates a second, how long each, after how many seconds of the same as a warm-up."""

    rates: Sequence[int] = (10, 100, 500)
    seconds: float = 20.0
    warmup: float = 2.0
    workers: int = 1
    batch: int = 100


class Watcher:
    """Notes when each row was seen, on the monotonic clock, by its stock-keeping unit."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self._news = asyncio.Event()

    def heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        """A row is visible."""
        del connection, pid, channel
        self.seen.setdefault(str(payload), time.monotonic())
        self._news.set()

    async def wait_for(self, wanted: Sequence[str]) -> None:
        """Wait until all of these were seen.

        Raises:
            LostError: nothing more comes for a minute, and some are missing.
        """
        while missing := len([one for one in wanted if one not in self.seen]):
            self._news.clear()
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                raise LostError(f"{missing} of {len(wanted)} rows were never seen") from None
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _watching(url: str) -> AsyncGenerator[Watcher]:
    watcher = Watcher()
    async with connected(url) as connection:
        await connection.add_listener(_CHANNEL, watcher.heard)
        yield watcher


async def latency(options: Options) -> Report:
    """Measure at every rate."""
    async with bench_server() as server:
        return await _report(server, options)


async def _report(server: BenchServer, options: Options) -> Report:
    before = hardware()
    with TemporaryDirectory(prefix="tds-bench-") as name:
        figures = await _measure(server, options, Path(name))
    return Report(
        benchmark="latency",
        hardware=before,
        versions=versions(server.version),
        settings={
            "server": server.kind,
            "processes": f"1 tds serve, {options.workers} tds worker",
            "seconds_each": options.seconds,
            "warmup_seconds": options.warmup,
            "load": "open loop, fixed times, latency from the time a request was due",
            "seen_by": "NOTIFY from a row trigger on erp_products, heard by a connection of its own",
            "postgresql": server.settings,
        },
        figures=figures,
    )


async def _measure(server: BenchServer, options: Options, folder: Path) -> dict[str, Any]:
    async with server.fresh_database() as url, connected(url) as connection:
        await connection.execute(_TRIGGER)
        tds = Tds(url, folder, TDS_QUEUE_BATCH_SIZE=str(options.batch), TDS_ZOHO_WEBHOOK_SECRET=SECRET)
        async with (
            ready_workers(url, tds, options.workers) as children,
            tds.server() as (api, host, port),
            _watching(url) as watcher,
        ):
            figures: dict[str, Any] = {"resolution_ms": await _resolution(url, watcher)}
            meter = await Meter(connection, [child.pid for child in (api, *children)]).prepare()
            run = _Run(host, port, watcher, meter, options)
            rates = {str(rate): await unless_ended(run.at(rate), [api, *children]) for rate in options.rates}
            figures |= {
                "items": run.sent,
                "batch": options.batch,
                "rates": rates,
                "p50_ms": {rate: found["p50_ms"] for rate, found in rates.items()},
                "p99_ms": {rate: found["p99_ms"] for rate, found in rates.items()},
                **await row_versions(connection),
                **vital_figures([child.pid for child in children]),
            }
        return figures


async def _resolution(url: str, watcher: Watcher) -> float:
    """How long a NOTIFY takes from its statement to us, in the middle of many: seeing is no finer than that."""
    times: list[float] = []
    async with connected(url) as connection:
        for number in range(_PROBES):
            probe, began = f"probe {number}", time.monotonic()
            await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, probe)
            await watcher.wait_for([probe])
            times.append(watcher.seen[probe] - began)
    return round(median(times) * 1000, 3)


class _Run:
    """One load after the other, each with items of its own."""

    def __init__(self, host: str, port: int, watcher: Watcher, meter: Meter, options: Options) -> None:
        self._host = host
        self._port = port
        self._watcher = watcher
        self._meter = meter
        self._options = options
        self.sent = 0

    async def at(self, rate: int) -> dict[str, Any]:
        """The figures at a rate, after a warm-up at the same."""
        tell(f"{rate} a second for {self._options.seconds:.0f} s")
        await self._send(rate, self._options.warmup)
        before = await self._meter.read()
        outcome, wanted = await self._send(rate, self._options.seconds)
        after = await self._meter.read()
        visible = [self._watcher.seen[one] - due for one, due in zip(wanted, outcome.due, strict=True)]
        return {
            "items": len(wanted),
            "seconds": round(outcome.ended - outcome.began, 3),
            "items_per_second": round(len(wanted) / (max(outcome.due) - min(outcome.due) + 1 / rate), 1),
            **percentiles_ms(visible),
            "largest_ms": round(max(visible) * 1000, 3),
            **percentiles_ms(outcome.latencies, prefix="answered_"),
            **percentiles_ms(outcome.late, prefix="sent_late_"),
            "resent": outcome.resent,
            **cost(before, after, len(wanted)),
        }

    async def _send(self, rate: int, seconds: float) -> tuple[Outcome, list[str]]:
        total, first = max(1, round(rate * seconds)), self.sent
        self.sent += total
        requests = [http_request(body, self._host) for body in item_bodies(total, first=first)]
        outcome = await run_load(Load(host=self._host, port=self._port, requests=requests, rate=rate))
        wanted = [sku(number) for number in range(first, first + total)]
        if outcome.refused():
            raise LostError(f"the server refused deliveries: {outcome.figures()}")
        await self._watcher.wait_for(wanted)
        return outcome, wanted
