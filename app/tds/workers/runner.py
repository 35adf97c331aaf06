"""Carries out managed runs: reads a source page by page into the inbox.

Told to stop, it lets go of the page that it waits for and lays the run down with its checkpoint: another process goes
on at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from app.core.config import QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.errors import TdsError
from app.core.telemetry import get_logger
from app.tds.core import runs
from app.tds.core.errors import LeaseLostError, SourceThrottledError, SourceUnavailableError
from app.tds.core.ports import Page, Source
from app.tds.core.retry import is_batch_error
from app.tds.core.runs import ClaimedRun
from app.tds.sql import statement
from app.tds.types import EntityType

__all__ = ["Runner"]

_log = get_logger(__name__)
_GIVE_UP_AFTER: Final = 60
_ROOM_SECONDS: Final = 0.5
_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 60.0

T = TypeVar("T")


class _StoppedError(Exception):
    """This process is to end."""


class Runner:
    """Reads one run at a time, until ``stopping`` is set."""

    def __init__(
        self,
        database: Database,
        sources: Mapping[str, Source],
        doorbell: Doorbell,
        settings: QueueSettings,
        name: str,
        *,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self._database = database
        self._sources = sources
        self._doorbell = doorbell
        self._lease = settings.run_lease_seconds
        self._high_water = settings.high_water
        self._stopping = stopping or asyncio.Event()
        self.name = name

    async def step(self) -> bool:
        """Claim a run and read it to its end; False if none waits."""
        async with self._database.transaction() as session:
            run = await runs.claim_run(session, worker=self.name, lease=self._lease)
        if run is None:
            return False
        reading = asyncio.ensure_future(self._read_or_settle(run))
        renewing = asyncio.ensure_future(self._keep(run, reading))
        try:
            await reading
        except asyncio.CancelledError:
            if not renewing.done():
                raise
            _log.warning("run_lease_lost", run_id=str(run.id))
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
        return True

    async def _keep(self, run: ClaimedRun, reading: asyncio.Future[None]) -> None:
        """Renew the lease while the run is read; once it is lost, or cannot be renewed in time, stop reading."""
        renewed = monotonic()
        while monotonic() < renewed + self._lease:
            await asyncio.sleep(self._lease / 3)
            try:
                async with self._database.transaction() as session:
                    held = await runs.renew_run(session, run, lease=self._lease)
            except (SQLAlchemyError, OSError) as error:
                _log.warning("run_not_renewed", run_id=str(run.id), error=str(error))
                continue
            if not held:
                break
            renewed = monotonic()
        reading.cancel()

    async def _read_or_settle(self, run: ClaimedRun) -> None:
        try:
            await self._read(run)
        except _StoppedError:
            await self._lay_down(run)
        except LeaseLostError:
            _log.warning("run_lease_lost", run_id=str(run.id))
        except SourceThrottledError as error:
            await self._postpone(run, error.retry_after, error, spent=0)
        except SourceUnavailableError as error:
            await self._postpone_or_fail(run, error)
        except (SQLAlchemyError, OSError) as error:  # the database's: a source's own are SourceUnavailableError by now
            if isinstance(error, OSError) or is_batch_error(error):
                await self._postpone(run, _FIRST_PAUSE, error, spent=0)
            else:
                await self._postpone_or_fail(run, error)
        except TdsError as error:
            await self._fail(run, error.message)
        except Exception as error:  # noqa: BLE001 - a run must end, and say why
            _log.exception("run_crashed", run_id=str(run.id))
            await self._fail(run, f"{type(error).__name__}: {error}")

    async def _read(self, run: ClaimedRun) -> None:
        source = self._sources.get(run.source)
        if source is None:
            await self._fail(run, f"no source named {run.source!r} is configured in this worker")
            return
        pages = aiter(source.pages(EntityType(run.entity_type), since=run.since, checkpoint=run.checkpoint))
        while page := await self._unless_stopped(_next(pages)):
            async with self._database.transaction() as session:
                await runs.store_page(session, run, page, lease=self._lease)
            self._doorbell.ring("inbox")
            _log.info("page_stored", run_id=str(run.id), records=len(page.records), last=page.last)
            if page.last:
                return
            await self._wait_for_room(run)
        raise SourceUnavailableError("the source's pages ended without a last one")

    async def _unless_stopped(self, work: Awaitable[T]) -> T:
        """The result of ``work``, which is cancelled once the process is to end.

        Raises:
            _StoppedError: it was.
        """
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                raise _StoppedError
            return working.result()
        finally:
            for one in (working, stopping):
                one.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def _wait_for_room(self, run: ClaimedRun) -> None:
        """Hold back while too much waits: webhooks never do, so pollers must."""
        waited = False
        while await self._depth() > self._high_water:
            if not waited:
                _log.info("poller_holds_back", run_id=str(run.id), high_water=self._high_water)
            waited = True
            await self._unless_stopped(asyncio.sleep(_ROOM_SECONDS))

    async def _depth(self) -> int:
        async with self._database.session() as session:
            rows = await session.execute(statement("depth"), {"limit": self._high_water + 1})
            return rows.scalar_one()

    async def _postpone_or_fail(self, run: ClaimedRun, error: Exception) -> None:
        """Spend an attempt. How many are spent the database knows: each page that came begins the count anew."""
        async with self._database.transaction() as session:
            attempts = await runs.hold_run(session, run)
        if attempts is not None and attempts + 1 >= _GIVE_UP_AFTER:
            await self._fail(run, str(error))
            return
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempts or 0))
        await self._postpone(run, pause, error, spent=1)

    async def _postpone(self, run: ClaimedRun, seconds: float, error: Exception, *, spent: int) -> None:
        _log.warning("run_postponed", run_id=str(run.id), seconds=seconds, error=str(error))
        async with self._database.transaction() as session:
            await runs.postpone_run(session, run, seconds=seconds, why=str(error), spent=spent)

    async def _lay_down(self, run: ClaimedRun) -> None:
        _log.info("run_laid_down", run_id=str(run.id))
        async with self._database.transaction() as session:
            await runs.postpone_run(session, run)
        self._doorbell.ring("runs")

    async def _fail(self, run: ClaimedRun, error: str) -> None:
        async with self._database.transaction() as session:
            if await runs.hold_run(session, run) is None:
                _log.warning("run_lease_lost", run_id=str(run.id))
                return
            await runs.fail_run(session, run.id, error=error)
        _log.error("run_failed", run_id=str(run.id), error=error)


async def _next(pages: AsyncIterator[Page]) -> Page | None:
    """The next page, None after the end.

    Raises:
        SourceUnavailableError: the way to the source is broken, as the system calls it.
    """
    try:
        return await anext(pages, None)
    except OSError as error:
        raise SourceUnavailableError(f"{type(error).__name__}: {error}") from error
