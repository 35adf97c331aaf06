"""The monitor: one process at a time samples the queue, adds up hours, counts the ledger and evaluates the alerts.

Every process runs one, with workers or without, so that somebody notices when all workers have died. The leader keeps
a lease; whatever it writes of alerts is fenced by it: a leader that was frozen and comes back late writes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import locks
from app.core.config import AlertSettings
from app.core.database import Database
from app.core.locks import Lease, LockLostError
from app.core.telemetry import get_logger
from app.tds.monitoring import depths, entities, evaluation
from app.tds.monitoring.pace import Pace
from app.tds.monitoring.rules import judge
from app.tds.sql import statement

__all__ = ["Monitor"]

_log = get_logger(__name__)
_LOCK: Final = "monitor"
_MINUTES: Final = 300.0
_SAMPLE_REST: Final = 50.0
_EVALUATION_REST: Final = 20.0
_QUICK_SECONDS: Final = 0.5  # what waits is found among dead entries for as long as somebody holds an old snapshot
_COUNT_REST: Final = 200.0
_SHORTEST_LEASE: Final = 15.0


@dataclass(frozen=True, slots=True)
class _Chore:
    """Something to do now and then, in a transaction of its own."""

    work: Callable[[AsyncSession], Awaitable[None]]
    pace: Pace

    async def run_if_due(self, database: Database) -> None:
        """Do it, if it is time."""
        if self.pace.due:
            with self.pace.taking():
                async with database.transaction() as session:
                    await self.work(session)


class Monitor:
    """``step`` is one round; whoever runs it calls it every ``interval`` seconds, and ``release`` at the end.

    ``grace_seconds`` is how long the database must have answered before a silent worker is held against its process:
    while it was away, nobody's heart could be heard.
    """

    def __init__(
        self, database: Database, settings: AlertSettings, *, name: str, grace_seconds: float | None = None
    ) -> None:
        self._database = database
        self._settings = settings
        self._grace = settings.worker_seconds if grace_seconds is None else grace_seconds
        self._lease: Lease | None = None
        self._answering_since: float | None = None
        self._sample = _Chore(depths.take_sample, Pace(seconds=settings.sample_seconds * 0.9, rest=_SAMPLE_REST))
        self._evaluation = Pace(rest=_EVALUATION_REST, quick=_QUICK_SECONDS)
        self._chores = (
            _Chore(_close_hours, Pace(seconds=_MINUTES, rest=_COUNT_REST)),
            _Chore(entities.count_entities, Pace(seconds=_MINUTES, rest=_COUNT_REST)),
        )
        self.interval = settings.sample_seconds
        self.name = name

    @property
    def leads(self) -> bool:
        """Whether it held the lease when it last looked."""
        return self._lease is not None

    async def step(self) -> bool:
        """One round, if this process leads or nobody does; never asks to be called again at once."""
        try:
            await self._round()
        except LockLostError:
            self._lease = None
            _log.warning("monitor_lease_lost", monitor=self.name)
        except Exception:
            self._answering_since = None
            raise
        return False

    async def _round(self) -> None:
        self._lease = await self._lead()
        if self._answering_since is None:
            self._answering_since = monotonic()
        if self._lease is None:
            return
        await self._sample.run_if_due(self._database)
        if self._evaluation.due:
            with self._evaluation.taking():
                await self._evaluate(self._lease)
        for chore in self._chores:
            await chore.run_if_due(self._database)

    async def _lead(self) -> Lease | None:
        seconds = max(_SHORTEST_LEASE, 3 * self.interval)
        async with self._database.transaction() as session:
            if self._lease is None:
                return await locks.acquire(session, _LOCK, holder=self.name, seconds=seconds)
            await locks.renew(session, self._lease, seconds=seconds)
            return self._lease

    async def _evaluate(self, lease: Lease) -> None:
        async with self._database.transaction() as session:
            reading = await evaluation.read(session, self._settings, steady=self._steady())
        findings = judge(reading, self._settings)
        async with self._database.transaction() as session:
            await locks.fence(session, lease)
            events = await evaluation.write(session, findings, rounds=self._settings.resolve_rounds)
        for one in events:
            _log.warning(one.event_type.replace(".", "_"), rule=one.data["rule"], subject=one.data["subject"])

    def _steady(self) -> bool:
        return self._answering_since is not None and monotonic() - self._answering_since >= self._grace

    async def release(self) -> None:
        """Give the lead back, for another process to take over at once."""
        lease, self._lease = self._lease, None
        if lease is not None:
            async with self._database.transaction() as session:
                await locks.release(session, lease)


async def _close_hours(session: AsyncSession) -> None:
    await session.execute(statement("close_hours"))
