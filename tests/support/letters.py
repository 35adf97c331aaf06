"""Dead letters by the thousand, and jobs over them, for tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from app.core.config import QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.tds.core import jobs
from app.tds.core.dead_letter_service import DeadLetterService
from app.tds.core.jobs import ClaimedJob
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.models import TDSJob
from app.tds.workers.jobs import JobRunner
from tests.support.pipeline import QUICK, FakeSource, execute, rows

__all__ = ["LETTERS", "ask", "bury", "chunk", "claim", "job_of", "runner", "work"]

LETTERS = """
    INSERT INTO tds_dead_letter_queue
        (id, sync_queue_id, source, entity_type, source_entity_id, operation_type, failure_reason, error_code,
         fingerprint, total_attempts, original_payload, last_payload, version_time, arrival)
    SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), gen_random_uuid(), 'zoho', 'product', 'p' || n, 'upsert',
           'the ERP was closed', 'closed', 'f' || n % 2, 3, payload, payload, now(), nextval('tds_arrival_seq')
    FROM generate_series(1, {amount}) AS n, LATERAL (SELECT jsonb_build_object('name', 'Product ' || n)) AS p (payload)
"""
"""So many open letters of products p1, p2, ..., with ids in that order, which could be applied by now."""


async def bury(database: Database, amount: int) -> None:
    """So many open letters of products p1, p2, ... that could be applied by now."""
    await execute(database, LETTERS.format(amount=amount))


async def ask(database: Database, criteria: LetterCriteria | None = None, *, note: str | None = None) -> TDSJob:
    """Ask for a job: to resolve with a note, else to reprocess."""
    async with database.session() as session:
        service = DeadLetterService(session)
        if note is None:
            return await service.reprocess_all(criteria or LetterCriteria(), actor="ann")
        return await service.resolve_all(criteria or LetterCriteria(), note=note, actor="ann")


async def job_of(database: Database, job: TDSJob) -> dict[str, Any]:
    """The job's row."""
    (row,) = await rows(database, "SELECT * FROM tds_jobs WHERE id = :id", id=job.id)
    return row


@asynccontextmanager
async def runner(
    database: Database, source: FakeSource | None = None, settings: QueueSettings = QUICK
) -> AsyncGenerator[JobRunner]:
    """What a worker process has for jobs."""
    bell = Doorbell(database)
    yield JobRunner(database, {"zoho": source or FakeSource()}, bell, settings, "w")
    await bell.close()


async def work(database: Database, source: FakeSource | None = None) -> None:
    """Until no job is left."""
    async with runner(database, source) as busy:
        while await busy.step():
            pass


async def claim(database: Database, worker: str = "a", lease: float = 10) -> ClaimedJob | None:
    """Lease a job."""
    async with database.transaction() as session:
        return await jobs.claim_job(session, worker=worker, lease=lease)


async def chunk(database: Database, job: ClaimedJob | None, limit: int = 200) -> jobs.Chunk:
    """Work on a job that was claimed."""
    assert job is not None
    async with database.transaction() as session:
        return await jobs.work_chunk(session, job, sources={}, limit=limit)
