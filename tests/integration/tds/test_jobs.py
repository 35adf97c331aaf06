"""Jobs over dead letters: in chunks, resumable after any end, cancellable, each letter once."""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError, ProgrammingError

from app.core.database import Database
from app.core.errors import ConflictError, InvalidError
from app.tds.core import jobs
from app.tds.core.errors import LeaseLostError
from app.tds.core.jobs import ClaimedJob, JobNotFoundError
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.models import TDSJob
from app.tds.workers.pool import WorkerPool
from tests.support.letters import LETTERS, ask, bury, chunk, claim, job_of, runner, work
from tests.support.pipeline import (
    QUICK,
    FakeSource,
    applier,
    body,
    drain,
    eventually,
    execute,
    rows,
    statements,
    store,
    validate,
    value,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

OPEN = "SELECT count(*) FROM tds_dead_letter_queue WHERE NOT resolved"
CLOSE = "UPDATE tds_dead_letter_queue SET resolved = true, resolved_at = now()"
TWICE = "SELECT count(*) FROM (SELECT 1 FROM tds_sync_queue GROUP BY dead_letter_id HAVING count(*) > 1) AS twice"
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE state = 'idle in transaction' AND datname = current_database()
"""
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query ~ 'tds_jobs' AND datname = current_database()
"""
REFUSE = (
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE check_violation USING MESSAGE = 'not this one'; END $$""",
    """CREATE TRIGGER refuse BEFORE INSERT ON tds_sync_queue FOR EACH ROW
       WHEN (NEW.source_entity_id IN ('p7', 'p90')) EXECUTE FUNCTION refuse()""",
)
PROCESS = """
import asyncio, sys
from app.core.config import DatabaseSettings, QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.tds.workers.jobs import JobRunner

async def main():
    database = Database(sys.argv[1], DatabaseSettings(pool_size=2))
    runner = JobRunner(database, {}, Doorbell(database), QueueSettings(lease_seconds=1), "killed")
    while await runner.step():
        pass

asyncio.run(main())
"""


class TestReprocess:
    """Reprocess many letters."""

    async def test_of_a_thousand_letters_is_quick(self, database: Database) -> None:
        """Under five seconds on a slow machine; each is queued once, first in line, and linked."""
        await bury(database, 1_000)
        job = await ask(database)
        assert (job.total, job.status.value) == (1_000, "pending")
        began = perf_counter()
        await work(database)
        assert perf_counter() - began < 5
        done = await job_of(database, job)
        assert (done["status"], done["done"], done["succeeded"], done["failed"]) == ("completed", 1_000, 1_000, 0)
        assert await value(database, OPEN) == 0
        linked = """
            SELECT count(*) FROM tds_dead_letter_queue AS letter JOIN tds_sync_queue AS item
            ON item.id = letter.reprocessed_as AND item.dead_letter_id = letter.id AND item.arrival = letter.arrival
            WHERE letter.resolution = 'reprocessed' AND letter.resolved_by = 'ann' AND item.priority = 10
        """
        assert await value(database, linked) == 1_000
        told = "SELECT count(*) FROM event_log WHERE event_type = 'tds.deadletter.resolved'"
        assert await value(database, told) == 1_000
        audited = "SELECT count(*) FROM tds_audit_trail WHERE entity_type = 'dead_letter' AND actor = 'ann'"
        assert await value(database, audited) == 1_000
        await drain(database)
        assert await value(database, "SELECT count(*) FROM erp_products") == 1_000

    async def test_sends_as_many_statements_for_many_as_for_one(self, database: Database) -> None:
        """A chunk is a fixed number of statements."""
        await bury(database, 200)
        counts: list[int] = []
        for limit in (1, 150):
            job = await ask(database)
            with statements(database) as sent:
                await chunk(database, await claim(database), limit)
            counts.append(len(sent))
            async with database.session() as session:
                await jobs.cancel_job(session, job.id, actor="ann")
        assert counts[0] == counts[1] < 15

    async def test_lets_a_bad_letter_fail_alone(self, database: Database) -> None:
        """One does not validate, two are refused by the database; the others are queued, and the three stay open."""
        await bury(database, 250)
        await execute(database, *REFUSE)
        letters = "UPDATE tds_dead_letter_queue"
        await execute(database, f"""{letters} SET last_payload = '{{"prise": 1}}' WHERE source_entity_id = 'p3'""")
        job = await ask(database)
        await work(database)
        done = await job_of(database, job)
        assert (done["status"], done["succeeded"], done["failed"]) == ("completed", 247, 3)
        assert done["last_error"]
        still = await rows(database, "SELECT source_entity_id AS s FROM tds_dead_letter_queue WHERE NOT resolved")
        assert {one["s"] for one in still} == {"p3", "p7", "p90"}
        assert await value(database, "SELECT count(*) FROM tds_sync_queue") == 247

    async def test_maps_raw_events_again(self, database: Database) -> None:
        """A mapping was mended: all that it had not understood goes in by one order."""
        for number in range(3):
            await store(database, body(f"r{number}", {"name": "a"}, 1))
        await validate(database, FakeSource(mapping_error=RuntimeError("a bug")))
        await ask(database)
        await work(database)
        await drain(database)
        assert await value(database, "SELECT count(*) FROM erp_products") == 3

    async def test_takes_only_what_fits(self, database: Database) -> None:
        """By fingerprint, as groups are mended."""
        await bury(database, 10)
        job = await ask(database, LetterCriteria(fingerprint="f1"))
        await work(database)
        assert (job.total, await value(database, OPEN)) == (5, 5)

    async def test_leaves_what_came_later_and_what_was_resolved(self, database: Database) -> None:
        """The job is over the letters that a person saw counted."""
        await bury(database, 10)
        await execute(database, f"{CLOSE} WHERE id::text ~ '[12]$'")
        job = await ask(database)
        await execute(database, f"{CLOSE} WHERE id::text ~ '3$'")
        await execute(
            database,
            LETTERS.format(amount=20).replace("FROM generate_series", "FROM (SELECT 1) AS one, generate_series")
            + " WHERE n > 10",
        )
        await work(database)
        done = await job_of(database, job)
        assert (job.total, done["done"], done["status"]) == (8, 7, "completed")
        assert await value(database, OPEN) == 10

    async def test_of_nothing_completes(self, database: Database) -> None:
        """A job without letters has an end, too."""
        job = await ask(database)
        await work(database)
        assert (await job_of(database, job))["status"] == "completed"


class TestResolve:
    """Resolve many letters."""

    async def test_keeps_the_note(self, database: Database) -> None:
        """In the name of who asked; nothing is queued."""
        await bury(database, 300)
        await ask(database, note="a test import")
        await work(database)
        found = await rows(
            database, "SELECT DISTINCT resolution, resolution_notes, resolved_by FROM tds_dead_letter_queue"
        )
        assert found == [{"resolution": "manual", "resolution_notes": "a test import", "resolved_by": "ann"}]
        assert await value(database, "SELECT count(*) FROM tds_sync_queue") == 0

    async def test_wants_a_note(self, database: Database) -> None:
        """Before anything is asked for."""
        with pytest.raises(InvalidError):
            await ask(database, note=" ")


class TestLease:
    """Whoever works on a job holds it."""

    async def test_nobody_else_gets_it_meanwhile(self, database: Database) -> None:
        """Until it is given back with the chunk, or the lease has ended."""
        await bury(database, 3)
        await ask(database)
        first = await claim(database)
        assert await claim(database, "b") is None
        await chunk(database, first, limit=1)
        assert await claim(database, "b") is not None

    async def test_a_lost_lease_writes_nothing(self, database: Database) -> None:
        """P5: a worker that was frozen past its lease finds that the job has gone on without it."""
        await bury(database, 3)
        await ask(database)
        frozen = await claim(database, "frozen", lease=0.01)
        other: list[ClaimedJob] = []

        async def taken_up() -> bool:
            if (job := await claim(database, "other")) is not None:
                other.append(job)
            return bool(other)

        await eventually(taken_up)
        with pytest.raises(LeaseLostError):
            await chunk(database, frozen)
        await chunk(database, other[0])
        assert (await value(database, OPEN), await value(database, TWICE)) == (0, 0)

    async def test_is_given_back_when_something_breaks(self, database: Database) -> None:
        """With what it was, so that a person can see it, and another worker goes on at once."""
        await bury(database, 3)
        job = await ask(database)
        await execute(database, "ALTER TABLE tds_dead_letter_queue RENAME TO gone")
        async with runner(database) as busy:
            with pytest.raises(ProgrammingError):
                await busy.step()
        broken = await job_of(database, job)
        assert (broken["status"], broken["locked_by"], broken["done"]) == ("processing", None, 0)
        assert "tds_dead_letter_queue" in broken["last_error"]
        await execute(database, "ALTER TABLE gone RENAME TO tds_dead_letter_queue")
        await work(database)
        assert (await job_of(database, job))["succeeded"] == 3


class TestKilled:
    """A worker that dies in the middle of a job."""

    async def test_another_goes_on_behind_the_last_commit(self, database: Database, database_url: str) -> None:
        """SIGKILL to a real process: no letter twice, none left out, and the counters add up."""
        await bury(database, 4_000)
        job = await ask(database)
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, database_url)

        async def in_the_middle() -> bool:
            return (await job_of(database, job))["done"] > 0

        try:
            await eventually(in_the_middle)
        finally:
            process.kill()
            await process.wait()
        left = await job_of(database, job)
        assert left["status"] == "processing", "it must be killed before it is done"
        assert 0 < left["done"] < 4_000

        async def resumed() -> bool:
            async with runner(database) as busy:
                await busy.step()
            return (await job_of(database, job))["status"] == "completed"

        await eventually(resumed)
        done = await job_of(database, job)
        assert (done["done"], done["succeeded"], done["failed"]) == (4_000, 4_000, 0)
        assert (await value(database, OPEN), await value(database, TWICE)) == (0, 0)
        assert await value(database, "SELECT count(*) FROM tds_sync_queue") == 4_000

    async def test_a_chunk_that_was_cut_off_did_not_happen(self, database: Database) -> None:
        """The connection is lost before the commit: nothing of the chunk stays, the cursor neither."""
        await bury(database, 5)
        job = await ask(database)
        claimed = await claim(database)
        assert claimed is not None

        async def cut_off() -> None:
            async with database.transaction() as session:
                await jobs.work_chunk(session, claimed, sources={})
                await execute(database, CUT)

        with pytest.raises(DBAPIError):
            await cut_off()
        assert (await job_of(database, job))["cursor_id"] is None
        assert await value(database, OPEN) == 5


class TestWorkerPool:
    """The loops of a worker process."""

    async def test_carries_out_a_job_when_the_bell_rings(self, database: Database) -> None:
        """Nobody waits for the next look; what is queued by it is applied, too."""
        await bury(database, 20)
        slow = QUICK.model_copy(update={"poll_seconds": 30.0})
        pool = WorkerPool(database, sources={"zoho": FakeSource()}, applier=applier(), settings=slow, count=1)
        running = asyncio.create_task(pool.run())

        async def done() -> bool:
            return await value(database, "SELECT count(*) FROM erp_products") == 20

        try:
            await ask(database)
            pool.doorbell.ring("jobs")
            await eventually(done, 10)
        finally:
            pool.stop()
            await running


class TestCancel:
    """End a job before its time."""

    async def test_leaves_what_is_done_and_does_no_more(self, database: Database) -> None:
        """Between two chunks."""
        await bury(database, 450)
        job = await ask(database)
        async with runner(database) as busy:
            await busy.step()
            async with database.session() as session:
                await jobs.cancel_job(session, job.id, actor="bob")
            assert not await busy.step()
        ended = await job_of(database, job)
        assert (ended["status"], ended["done"]) == ("cancelled", 200)
        assert await value(database, OPEN) == 250
        audit = await rows(
            database, "SELECT actor, operation FROM tds_audit_trail WHERE entity_type = 'job' ORDER BY id"
        )
        assert [(one["actor"], one["operation"]) for one in audit] == [("ann", "create"), ("bob", "update")]

    async def test_waits_for_a_chunk_in_progress(self, database: Database) -> None:
        """What was counted was done."""
        await bury(database, 10)
        job = await ask(database)
        claimed = await claim(database)
        assert claimed is not None

        async def cancel() -> TDSJob:
            async with database.session() as session:
                return await jobs.cancel_job(session, job.id, actor="bob")

        async def waits() -> bool:
            return await value(database, WAITING) == 1

        async with database.transaction() as session:
            await jobs.work_chunk(session, claimed, sources={}, limit=4)
            cancelling = asyncio.create_task(cancel())
            await eventually(waits)
        cancelled = await cancelling
        assert (cancelled.status.value, cancelled.done) == ("cancelled", 4)
        assert await value(database, OPEN) == 6

    async def test_refuses_a_chunk_that_comes_later(self, database: Database) -> None:
        """A worker that had claimed it writes nothing."""
        await bury(database, 3)
        job = await ask(database)
        claimed = await claim(database)
        async with database.session() as session:
            await jobs.cancel_job(session, job.id, actor="bob")
            with pytest.raises(ConflictError):
                await jobs.cancel_job(session, job.id, actor="bob")
            with pytest.raises(JobNotFoundError):
                await jobs.cancel_job(session, UUID(int=1), actor="bob")
        with pytest.raises(LeaseLostError):
            await chunk(database, claimed)
        assert await value(database, OPEN) == 3


class TestList:
    """Look at jobs."""

    async def test_pages_newest_first(self, database: Database) -> None:
        """Open ones only, if asked."""
        asked = [await ask(database) for _ in range(3)]
        async with database.session() as session:
            await jobs.cancel_job(session, asked[2].id, actor="ann")
            first = await jobs.list_jobs(session, limit=2)
            rest = await jobs.list_jobs(session, before=first[-1].id)
            opened = await jobs.list_jobs(session, open_only=True)
            assert (await jobs.get_job(session, asked[0].id)).id == asked[0].id
            with pytest.raises(JobNotFoundError):
                await jobs.get_job(session, UUID(int=1))
        assert [one.id for one in [*first, *rest]] == [one.id for one in asked[::-1]]
        assert [one.id for one in opened] == [asked[1].id, asked[0].id]
