"""What must cost the same however much history there is: timed one by one, committed as always."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from pydantic import SecretStr
from sqlalchemy import text

from app.cli.overview import read_overview
from app.core.config import DatabaseSettings, Settings
from app.core.database import Database
from app.tds.core import claims, finishing, inbox
from app.tds.core.apply import Applier
from app.tds.core.outcomes import ClaimedItem, Done
from app.tds.core.ports import RawRecord
from app.tds.targets.erp import erp_targets
from app.tds.types import Outcome
from benchmarks.deliveries import item_bodies
from benchmarks.server import opened
from benchmarks.views import ENDPOINTS, Viewer

__all__ = ["CONTROL", "Operations"]

CONTROL: Final = "control"
_WORKER: Final = "benchmark"
_LEASE: Final = 600.0
_WINDOW: Final = timedelta(days=7)
_WARM_UP: Final = 6


class Operations:
    """The operations on one database, and what they took: seconds by name."""

    def __init__(self, url: str, viewer: Viewer, *, batch: int) -> None:
        self._url = url
        self._viewer = viewer
        self._batch = batch
        self._received = 0
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)

    async def times(self, runs: int) -> Mapping[str, Sequence[float]]:
        """Each operation ``runs`` times; those before, which fill caches and plans, do not count."""
        self._seconds.clear()
        async with opened(self._url) as database:
            for number in range(_WARM_UP + runs):
                if number == _WARM_UP:
                    self._seconds.clear()
                await self._once(database)
        return dict(self._seconds) | await self._viewer.times_anew(ENDPOINTS, runs)

    @contextmanager
    def _timed(self, name: str) -> Generator[None]:
        began = time.perf_counter()
        yield
        self._seconds[name].append(time.perf_counter() - began)

    async def _once(self, database: Database) -> None:
        await self._nothing(database)
        await self._receive(database)
        await self._finish(database, await self._claim(database))
        await self._apply(database, await self._claim(database))
        await self._status(database)

    async def _nothing(self, database: Database) -> None:
        """A statement that touches no table: what changes in its time is the machine's."""
        with self._timed(CONTROL):
            async with database.session() as session:
                await session.execute(text("SELECT 1"))

    async def _receive(self, database: Database) -> None:
        (body,) = item_bodies(1, first=self._received)
        self._received += 1
        with self._timed("receive"):
            async with database.transaction() as session:
                await inbox.receive(session, RawRecord(body=body), source="zoho", headers={}, window=_WINDOW)

    async def _claim(self, database: Database) -> list[ClaimedItem]:
        with self._timed("claim"):
            async with database.transaction() as session:
                await claims.guard(session, lease=_LEASE)
                items = await claims.claim(session, worker=_WORKER, limit=self._batch, lease=_LEASE)
        if len(items) != self._batch:
            raise RuntimeError(f"a claim of {self._batch} took {len(items)}: let more wait, or measure fewer times")
        return items

    async def _finish(self, database: Database, items: Sequence[ClaimedItem]) -> None:
        """Lock and end the items, and nothing else."""
        with self._timed("finish"):
            async with database.transaction() as session:
                await claims.guard(session, lease=_LEASE)
                await claims.hold(session, items, worker=_WORKER)
                await finishing.finish(session, [(item, Done(Outcome.UNCHANGED)) for item in items])

    async def _apply(self, database: Database, items: Sequence[ClaimedItem]) -> None:
        """All that a worker does with a batch: ledger, target, audit, events, end."""
        with self._timed("apply"):
            async with database.transaction() as session:
                await claims.guard(session, lease=_LEASE)
                await Applier(erp_targets()).apply(session, items, worker=_WORKER)

    async def _status(self, database: Database) -> None:
        """What ``tds status`` reads."""
        settings = Settings.load(database=DatabaseSettings(url=SecretStr(self._url)))
        with self._timed("status"):
            async with database.session() as session:
                await read_overview(session, settings)
