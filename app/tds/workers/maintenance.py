"""What any worker process does for all: rescue, quarantine, partitions ahead, forgetting old delivery keys."""

from __future__ import annotations

from time import monotonic
from typing import Final

from sqlalchemy import delete, func

from app.core import locks
from app.core.clock import utc_now
from app.core.config import QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.events import event_log
from app.core.partitions import ensure_partitions
from app.core.telemetry import get_logger
from app.tds.core import claims, pauses, rollups
from app.tds.core.dead_letters import Letter, record_letters
from app.tds.core.finishing import finish
from app.tds.core.outcomes import Dead
from app.tds.models import TDSDedupeKey

__all__ = ["Maintenance"]

_log = get_logger(__name__)
_HOURLY: Final = 3_600.0
_SHARES: Final = 50
_SELDOM: Final = 2.0
"""Only rescuing is done in each round; the rest once in so many leases."""


class Maintenance:
    """One round is cheap when there is nothing to do: an index lookup or two.

    A lease that ends counts as a death of its worker. After an outage of the database all leases have ended and
    nobody is dead: whoever could not reach it waits for a lease's length before it rescues again, while the workers
    give back what they hold.
    """

    def __init__(
        self, database: Database, doorbell: Doorbell, settings: QueueSettings, name: str, *, metrics_days: int = 90
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._settings = settings
        self._metrics_days = metrics_days
        self._next_hourly = monotonic() + _HOURLY
        self._next_seldom = self._next_rescue = monotonic()
        self.name = name

    async def step(self) -> bool:
        """One round; never asks for another one at once."""
        if monotonic() >= self._next_rescue:
            await self._rescue()
        if monotonic() >= self._next_seldom:
            self._next_seldom = monotonic() + _SELDOM * self._settings.lease_seconds
            await self._seldom()
        if monotonic() >= self._next_hourly:
            self._next_hourly = monotonic() + _HOURLY
            await self._hourly()
        return False

    async def _seldom(self) -> None:
        if monotonic() >= self._next_rescue:
            await self._quarantine()
        await self._end_pauses()

    async def _rescue(self) -> None:
        try:
            async with self._database.transaction() as session:
                rescued = await claims.rescue(session, quarantine_after=self._settings.quarantine_after)
        except Exception:
            self._next_rescue = monotonic() + self._settings.lease_seconds
            raise
        if rescued:
            _log.warning("leases_rescued", items=len(rescued))
            self._doorbell.ring("queue")

    async def _quarantine(self) -> None:
        settings = self._settings
        async with self._database.transaction() as session:
            items = await claims.claim_poison(
                session, worker=self.name, quarantine_after=settings.quarantine_after, lease=settings.lease_seconds
            )
            if not items:
                return
            ends = [(item, Dead("poison", _poison(item.lease_losses), spent=0)) for item in items]
            events = await record_letters(session, [Letter.of_item(item, dead) for item, dead in ends])
            await event_log.record(session, [*events, *await finish(session, ends, worker=self.name)])
        _log.error("items_quarantined", items=len(items))

    async def _end_pauses(self) -> None:
        async with self._database.transaction() as session:
            awake = await pauses.sweep(session)
            drained = await pauses.end_drains(session)
        if awake:
            self._doorbell.ring("queue")
        for source, entity_type in drained:
            _log.info("drained", source=source, entity_type=entity_type)

    async def _hourly(self) -> None:
        """Housekeeping for all, by one process at a time."""
        async with locks.leading(self._database, "housekeeping", holder=self.name, seconds=300) as lease:
            if lease is not None:
                await self._keep_house()

    async def _keep_house(self) -> None:
        async with self._database.engine.begin() as connection:
            made = await ensure_partitions(connection, utc_now())
        async with self._database.transaction() as session:
            await session.execute(delete(TDSDedupeKey).where(TDSDedupeKey.expires_at < func.now()))
        await self._forget_rollups()
        if made:
            _log.info("partitions_made", statements=len(made))

    async def _forget_rollups(self) -> None:
        """A bounded number at a time: what is left over after an hour's share is the next hour's."""
        for _ in range(_SHARES):
            async with self._database.transaction() as session:
                if not await rollups.forget_rollups(session, days=self._metrics_days):
                    return


def _poison(losses: int) -> str:
    return f"{losses} workers died while they held this item"
