"""What a worker does when it is the database that fails, and when it only looks so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import DatabaseSettings, QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.tds.core import claims
from app.tds.core.apply import Applier
from app.tds.core.ports import Applied, Assignment, Rejected
from app.tds.types import EntityType, Outcome
from app.tds.workers.maintenance import Maintenance
from app.tds.workers.worker import SyncWorker
from tests.support.pipeline import (
    FakeTarget,
    change,
    enqueue,
    execute,
    expire_leases,
    rows,
    value,
    worker,
)
from tests.support.postgres import TestServer

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]
CANCELLED = "DO $$ BEGIN RAISE EXCEPTION 'too slow' USING ERRCODE = '57014'; END $$"
CUT_ITSELF = "SELECT pg_terminate_backend(pg_backend_pid())"


class Swallowing:
    """A target that passes over an error of the database, and so leaves the transaction aborted."""

    async def apply(
        self, session: AsyncSession, entity_type: EntityType, assignments: Sequence[Assignment]
    ) -> Sequence[Applied | Rejected]:
        """Tell of success."""
        del entity_type
        with suppress(DBAPIError):
            await session.execute(text("SELECT 1 / 0"))
        return [Applied(local_id=None, outcome=Outcome.UNCHANGED) for _ in assignments]


@asynccontextmanager
async def outage(
    server: TestServer, database: Database
) -> AsyncGenerator[Callable[[Sequence[object]], Awaitable[None]]]:
    """A hook that makes the database go away; it is back at the end."""
    name = await value(database, "SELECT current_database()")
    admin = Database(server.url("postgres"), DatabaseSettings(pool_size=1))

    async def begin(assignments: Sequence[object]) -> None:
        del assignments
        await execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await execute(admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    try:
        yield begin
    finally:
        await execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await admin.dispose()


async def try_batches(busy: SyncWorker, amount: int) -> None:
    """As a worker's loop: an error is passed over."""
    for _ in range(amount):
        with suppress(SQLAlchemyError, OSError):
            await busy.process_batch()


async def cut_off(server: TestServer, database: Database) -> SyncWorker:
    """A worker that lost the database with a batch in hand."""
    target = FakeTarget()
    busy = worker(database, target)
    async with outage(server, database) as target.before:
        with pytest.raises((SQLAlchemyError, OSError)):
            await busy.process_batch()
    target.before = None
    return busy


class TestOutage:
    """The database went away with a batch in hand."""

    async def test_what_could_not_be_given_back_is_given_back_later(
        self, database: Database, database_server: TestServer
    ) -> None:
        """P8: before the next claim, and no rescue is needed."""
        await enqueue(database, *(change(f"{n}", {"name": "a"}) for n in range(10)))
        busy = await cut_off(database_server, database)
        assert await value(database, "SELECT count(*) FROM tds_sync_queue WHERE status = 'processing'") == 10
        await expire_leases(database)
        assert len((await busy.process_batch()).ends) == 10
        assert await value(database, "SELECT sum(lease_losses) FROM tds_sync_queue") == 0

    async def test_a_rescue_that_took_it_for_dead_is_put_right(
        self, database: Database, database_server: TestServer
    ) -> None:
        """It lives: no loss stays, once and not twice, and what another has meanwhile stays with it."""
        await enqueue(database, *(change(f"{n}", {"name": "a"}) for n in range(10)))
        busy = await cut_off(database_server, database)
        await expire_leases(database)
        async with database.transaction() as session:
            assert len(await claims.rescue(session, quarantine_after=3)) == 10
        assert await value(database, "SELECT sum(lease_losses) FROM tds_sync_queue") == 10
        async with database.transaction() as session:
            (other,) = await claims.claim(session, worker="other", limit=10, lease=60)
        await busy.return_kept()
        await busy.return_kept()
        assert await value(database, "SELECT sum(lease_losses) FROM tds_sync_queue") == 0
        (row,) = await rows(database, "SELECT id, locked_by FROM tds_sync_queue WHERE status = 'processing'")
        assert (row["id"], row["locked_by"]) == (other.id, "other")

    async def test_whoever_could_not_look_quarantines_nothing_at_once(
        self, database: Database, doorbell: Doorbell
    ) -> None:
        """All leases have ended, and nobody is dead: the workers come first."""
        keeper = Maintenance(database, doorbell, QueueSettings(quarantine_after=1), "keeper")
        await enqueue(database, change("1", {"name": "a"}))
        async with database.transaction() as session:
            await claims.claim(session, worker="w", limit=1, lease=60)
        await expire_leases(database)
        await execute(database, "ALTER TABLE tds_sync_queue RENAME TO gone")
        with pytest.raises(DBAPIError):
            await keeper.step()
        await execute(database, "ALTER TABLE gone RENAME TO tds_sync_queue")
        await keeper.step()
        assert await value(database, "SELECT status FROM tds_sync_queue") == "processing"


class TestSuspicion:
    """Errors of the whole transaction, again and again."""

    async def test_one_item_that_brings_every_batch_down_fails_alone(self, database: Database) -> None:
        """P6: the others are applied, and it is tried again by its policy, with its own error."""
        await enqueue(database, *(change(f"{n}", {"name": "a"}) for n in range(10)))
        busy = worker(database, FakeTarget(sql={"5": (CANCELLED, {})}))
        await try_batches(busy, 3)
        assert await value(database, "SELECT count(*) FROM tds_sync_queue WHERE status = 'pending'") == 10
        await try_batches(busy, 10)
        failed = await rows(
            database, "SELECT source_entity_id AS n, status, attempts, errors FROM tds_sync_queue WHERE outcome IS NULL"
        )
        assert [(one["n"], one["status"], one["attempts"]) for one in failed] == [("5", "retry", 1)]
        assert (failed[0]["errors"][0]["code"], failed[0]["errors"][0]["reason"]) == ("57014", "too slow")
        assert await value(database, "SELECT count(*) FROM erp_products") == 9

    async def test_a_target_that_swallows_an_error_fails_its_item(self, database: Database) -> None:
        """It leaves the transaction aborted; the batch does not come back for ever."""
        await enqueue(database, change("1", {"name": "a"}))
        applier = Applier({EntityType.PRODUCT: Swallowing()})
        await try_batches(SyncWorker(database=database, applier=applier), 4)
        (row,) = await rows(database, "SELECT status, attempts, errors FROM tds_sync_queue")
        assert (row["status"], row["attempts"], row["errors"][0]["code"]) == ("retry", 1, "25P02")

    async def test_a_lost_connection_is_nobodys_fault(self, database: Database) -> None:
        """P8: however often, no attempt is spent."""
        await enqueue(database, change("1", {"name": "a"}))
        await try_batches(worker(database, FakeTarget(sql={"1": (CUT_ITSELF, {})})), 6)
        (row,) = await rows(database, "SELECT status, attempts, lease_losses FROM tds_sync_queue")
        assert row == {"status": "pending", "attempts": 0, "lease_losses": 0}

    async def test_one_bad_moment_changes_nothing(self, database: Database) -> None:
        """A deadlock passes: the batch stays a batch."""
        await enqueue(database, *(change(f"{n}", {"name": "a"}) for n in range(10)))
        target = FakeTarget(sql={"5": (CANCELLED, {})})
        busy = worker(database, target)
        await try_batches(busy, 2)
        target.sql.clear()
        assert len((await busy.process_batch()).ends) == 10
        assert (busy.processed, busy.failed, busy.batch_size) == (10, 0, 0)
