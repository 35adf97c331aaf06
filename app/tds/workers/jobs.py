"""Carries out jobs over dead letters, a chunk at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from app.core.config import QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.telemetry import get_logger
from app.tds.core import claims, jobs
from app.tds.core.errors import LeaseLostError
from app.tds.core.jobs import Chunk, ClaimedJob
from app.tds.core.ports import Source

__all__ = ["JobRunner"]

_log = get_logger(__name__)


class JobRunner:
    """Works on one chunk of one job at a time, so that whoever stops the process never waits for a whole job."""

    def __init__(
        self, database: Database, sources: Mapping[str, Source], doorbell: Doorbell, settings: QueueSettings, name: str
    ) -> None:
        self._database = database
        self._sources = sources
        self._doorbell = doorbell
        self._lease = settings.lease_seconds
        self.name = name

    async def step(self) -> bool:
        """Claim a job and deal with its next letters; False if no job waits."""
        async with self._database.transaction() as session:
            job = await jobs.claim_job(session, worker=self.name, lease=self._lease)
        if job is None:
            return False
        try:
            chunk = await self._work(job)
        except LeaseLostError:
            _log.warning("job_lease_lost", job_id=str(job.id))
            return True
        except Exception as error:
            await self._give_back(job, error)
            raise
        if chunk.succeeded and job.kind == "reprocess_letters":
            self._doorbell.ring("queue")
        if chunk.ended:
            _log.info("job_completed", job_id=str(job.id), kind=job.kind)
        return True

    async def _work(self, job: ClaimedJob) -> Chunk:
        async with self._database.transaction() as session:
            await claims.guard(session, lease=self._lease)
            return await jobs.work_chunk(session, job, sources=self._sources)

    async def _give_back(self, job: ClaimedJob, error: Exception) -> None:
        """Whatever broke, it was no letter: another worker may go on at once, or when the lease has run out."""
        with suppress(SQLAlchemyError, OSError):
            async with self._database.transaction() as session:
                await jobs.give_back_job(session, job, error=f"{type(error).__name__}: {error}")
