"""Churn while a snapshot is held: row versions pile up that no vacuum may remove. Throughput must last all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from app.cli.children import unless_ended
from app.core.database import Database
from app.tds.core import inbox
from app.tds.core.ports import RawRecord
from benchmarks.deliveries import SECRET, item_bodies
from benchmarks.figures import ratio
from benchmarks.meter import Meter, cost, row_versions, vital_figures
from benchmarks.processes import Tds
from benchmarks.progress import tell
from benchmarks.server import BenchServer, connected, opened
from benchmarks.working import ready_workers

__all__ = ["Churn", "quarters"]

_ENTITIES: Final = 20_000
_PIECE: Final = 500
_BACKLOG: Final = 4_000
_LOOK_SECONDS: Final = 0.1
_APPLIED: Final = "SELECT last_value FROM event_log_position_seq"
"""Every change that is applied takes a position in the event log: the cheapest count there is."""


def quarters(samples: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Rates a second of the first and of the last quarter of running totals (moment, total).

    Raises:
        ValueError: there are too few samples for quarters.
    """
    size = len(samples) // 4
    if size < 1:
        raise ValueError("quarters need at least four samples")
    return _rate(samples[: size + 1]), _rate(samples[-size - 1 :])


def _rate(samples: Sequence[tuple[float, int]]) -> float:
    (began, first), (ended, last) = samples[0], samples[-1]
    return round((last - first) / (ended - began), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """Edits of the same items, over and over, for ``seconds``, after each was created once."""

    seconds: float
    workers: int = 1
    batch: int = 200
    entities: int = _ENTITIES

    async def measure(self, server: BenchServer, folder: Path) -> dict[str, Any]:
        """Throughput in the first and in the last quarter."""
        async with (
            server.fresh_database() as url,
            connected(url) as connection,
            opened(url) as database,
        ):
            tds = Tds(url, folder, TDS_QUEUE_BATCH_SIZE=str(self.batch), TDS_ZOHO_WEBHOOK_SECRET=SECRET)
            async with ready_workers(url, tds, self.workers) as children:
                meter = await Meter(connection, [child.pid for child in children]).prepare()
                feeder = _Feeder(database, connection, self.entities)
                figures = await unless_ended(self._run(url, feeder, meter), children)
                figures |= vital_figures([child.pid for child in children])
            return figures | await row_versions(connection)

    async def _run(self, url: str, feeder: _Feeder, meter: Meter) -> dict[str, Any]:
        tell(f"churn: creating {self.entities:,} items")
        while feeder.stored < self.entities:
            await feeder.top_up()
        tell(f"churn: editing them for {self.seconds:.0f} s under a held snapshot")
        await _checkpoint(url)
        async with _held_snapshot(url):
            before = await meter.read()
            samples = [(time.perf_counter(), await feeder.applied())]
            while samples[-1][0] < samples[0][0] + self.seconds:
                applied = await feeder.top_up()
                samples.append((time.perf_counter(), applied))
            after = await meter.read()
        first, last = quarters(samples)
        items = samples[-1][1] - samples[0][1]
        return {
            "seconds": round(samples[-1][0] - samples[0][0], 1),
            "items": items,
            "items_per_second": round(items / (samples[-1][0] - samples[0][0]), 1),
            "first_quarter_items_per_second": first,
            "last_quarter_items_per_second": last,
            "last_to_first": ratio(last, first),
            **cost(before, after, items),
        }


async def _checkpoint(url: str) -> None:
    """What was written before is not to be written to the disk during the measurement."""
    async with connected(url) as connection:
        await connection.execute("CHECKPOINT")


class _Feeder:
    """Keeps a backlog: enough that no worker waits, little enough that edits are applied in their order."""

    def __init__(self, database: Database, connection: asyncpg.Connection[Any], entities: int) -> None:
        self._database = database
        self._connection = connection
        self._entities = entities
        self._origin: int | None = None
        self.stored = 0

    async def applied(self) -> int:
        """How many changes have been applied."""
        total = int(await self._connection.fetchval(_APPLIED))
        if self._origin is None:
            self._origin = total
        return total - self._origin

    async def top_up(self) -> int:
        """Store what is missing to the backlog, or wait a moment; what has been applied by then."""
        applied = await self.applied()
        if self.stored - applied >= _BACKLOG:
            await asyncio.sleep(_LOOK_SECONDS)
            return await self.applied()
        edit, first = divmod(self.stored, self._entities)
        size = min(_PIECE, self._entities - first)
        records = [RawRecord(body=body) for body in item_bodies(size, first=first, edit=edit)]
        async with self._database.transaction() as session:
            await inbox.store_records(session, records, source="zoho", run_id=None)
        self.stored += size
        return applied


@asynccontextmanager
async def _held_snapshot(url: str) -> AsyncGenerator[None]:
    """A transaction that sees the database as it is now, and keeps vacuum from removing what it could see."""
    async with connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.fetchval("SELECT count(*) FROM tds_sync_queue")
        yield
