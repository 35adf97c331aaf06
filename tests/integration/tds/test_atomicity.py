"""P2 and P5: all of it or nothing, and only under a lease."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.core.database import Database
from app.core.errors import TdsError
from app.tds.core import claims
from app.tds.core.outcomes import ClaimedItem
from tests.support.pipeline import (
    FakeSource,
    FakeTarget,
    applier,
    body,
    change,
    drain,
    enqueue,
    eventually,
    execute,
    expire_leases,
    rows,
    snapshot,
    store,
    validate,
    value,
    worker,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

STAGES = {
    "row": "erp_products",
    "ledger": "tds_entities",
    "audit": "tds_audit_trail",
    "letter": "tds_dead_letter_queue",
    "inbox": "tds_inbox_events",
    "events": "event_log",
}


async def break_at(database: Database, table: str, *, action: str, deferred: bool = False) -> None:
    """Let writes into a table fail: now, or at the commit."""
    kind = "CONSTRAINT TRIGGER" if deferred else "TRIGGER"
    when = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW" if deferred else "FOR EACH ROW"
    await execute(
        database,
        f"CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {action}; RETURN NEW; END $$",
        f"CREATE {kind} fails AFTER INSERT OR UPDATE ON {table} {when} EXECUTE FUNCTION fails()",
    )


async def mend(database: Database, table: str) -> None:
    """Take the trigger away."""
    await execute(database, f"DROP TRIGGER fails ON {table}", "DROP FUNCTION fails()")


async def prepare(database: Database) -> None:
    """A deletion, an update, a creation and one that will die; one letter that will be resolved."""
    for name in ("delete", "update"):
        await store(database, body(name, {"name": "a"}, 1))
    await validate(database)
    await drain(database)
    for content in (body("delete", None, 2), body("update", {"name": "b"}, 2), body("new", {"name": "c"}, 2)):
        await store(database, content)
    await store(database, body("dead", {}, 2))
    await validate(database)


class TestAtomicity:
    """An error at any stage."""

    @pytest.mark.parametrize("table", STAGES.values(), ids=STAGES)
    @pytest.mark.parametrize(
        "action",
        ["PERFORM pg_terminate_backend(pg_backend_pid())", "RAISE EXCEPTION 'no' USING ERRCODE = '40001'"],
        ids=["connection-cut", "error"],
    )
    async def test_leaves_nothing_half_written(self, database: Database, table: str, action: str) -> None:
        """All tables are as before; mended, everything is applied once."""
        await prepare(database)
        before = await snapshot(database)
        await break_at(database, table, action=action)
        busy = worker(database)
        with pytest.raises(Exception, match=r"(?s)."):
            await busy.process_batch()
        await mend(database, table)
        assert await snapshot(database) == before
        assert await value(database, "SELECT count(*) FROM tds_sync_queue WHERE completed_at IS NULL") == 4
        await execute(
            database,
            "UPDATE tds_sync_queue SET status = 'pending', locked_by = NULL, lock_expires_at = NULL"
            " WHERE status = 'processing'",
        )
        await drain(database)
        ends = await rows(database, "SELECT coalesce(outcome, status) AS end FROM tds_sync_queue ORDER BY 1")
        assert [one["end"] for one in ends] == ["created"] * 3 + ["dead_letter", "deleted", "updated"]
        assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 5
        assert await value(database, "SELECT count(*) FROM tds_sync_queue WHERE attempts > 1") == 0

    async def test_holds_at_the_commit_itself(self, database: Database) -> None:
        """What fails last takes all with it."""
        await prepare(database)
        before = await snapshot(database)
        await break_at(database, "erp_products", action="RAISE EXCEPTION 'late'", deferred=True)
        with pytest.raises(Exception, match="late"):
            await worker(database).process_batch()
        await mend(database, "erp_products")
        assert await snapshot(database) == before
        assert await value(database, "SELECT count(*) FROM tds_sync_queue WHERE status = 'pending'") == 4

    async def test_a_target_that_raises_after_writing_leaves_nothing(self, database: Database) -> None:
        """Its savepoint takes the rows with it."""
        await enqueue(database, change("1", {"name": "a"}))
        before = await snapshot(database)
        await worker(database, FakeTarget(always={"1": RuntimeError("no")})).process_batch()
        after = await snapshot(database)
        assert len(after.pop("event_log")) == 1
        assert after == {table: found for table, found in before.items() if table != "event_log"}

    async def test_validation_is_all_or_nothing(self, database: Database) -> None:
        """A queue that cannot be written leaves the events where they were."""
        await store(database, body("1", {"name": "a"}))
        before = await snapshot(database)
        await break_at(database, "tds_sync_queue", action="PERFORM pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(Exception, match=r"(?s)."):
            await validate(database, FakeSource())
        await mend(database, "tds_sync_queue")
        assert await snapshot(database) == before
        assert (await validate(database)).queued == 1


class TestLease:
    """P5: a lost lease writes nothing."""

    async def _claimed(self, database: Database, *names: str) -> list[ClaimedItem]:
        await enqueue(database, *(change(name, {"name": "a"}) for name in names))
        async with database.transaction() as session:
            return await claims.claim(session, worker="first", limit=10, lease=60)

    @pytest.mark.parametrize(
        "loss",
        [
            "lease_token = lease_token + 1",
            "locked_by = 'second'",
            "lock_expires_at = now() - interval '1 second'",
            "status = 'pending', locked_by = NULL, lock_expires_at = NULL",
        ],
        ids=["taken-again", "taken-by-another", "expired", "rescued"],
    )
    async def test_lost_is_lost(self, database: Database, loss: str) -> None:
        """Whatever became of it, this worker changes no row."""
        items = await self._claimed(database, "1")
        await execute(database, f"UPDATE tds_sync_queue SET {loss}")
        before = await snapshot(database), await rows(database, "SELECT * FROM tds_sync_queue")
        async with database.transaction() as session:
            report = await applier().apply(session, items, worker="first")
        assert (report.lost, list(report.ends)) == (1, [])
        assert (await snapshot(database), await rows(database, "SELECT * FROM tds_sync_queue")) == before

    async def test_lost_for_one_item_is_kept_for_the_others(self, database: Database) -> None:
        """Each item has its own."""
        items = await self._claimed(database, "1", "2", "3")
        await execute(database, "UPDATE tds_sync_queue SET locked_by = 'second' WHERE source_entity_id = '2'")
        async with database.transaction() as session:
            report = await applier().apply(session, items, worker="first")
        assert report.lost == 1
        assert await value(database, "SELECT count(*) FROM erp_products") == 2
        assert await value(database, "SELECT status FROM tds_sync_queue WHERE source_entity_id = '2'") == "processing"

    async def test_taken_by_another_is_not_given_back(self, database: Database) -> None:
        """A worker that comes back cannot take the item out of the other's hands."""
        items = await self._claimed(database, "1")
        await execute(database, "UPDATE tds_sync_queue SET lease_token = lease_token + 1, locked_by = 'second'")
        async with database.transaction() as session:
            await claims.give_back(session, items, worker="first")
        assert await value(database, "SELECT status FROM tds_sync_queue") == "processing"

    async def test_a_worker_at_work_is_not_rescued_from(self, database: Database) -> None:
        """Its row locks hold for as long as its transaction does, whatever the clock says."""
        items = await self._claimed(database, "1")
        async with database.transaction() as session:
            assert (await applier().apply(session, items, worker="first")).lost == 0
            async with database.transaction() as other:
                await other.execute(text("SET LOCAL lock_timeout = '2s'"))
                assert await claims.rescue(other, quarantine_after=3) == []
                assert await claims.claim_poison(other, worker="w", quarantine_after=1, lease=5) == []
        assert await value(database, "SELECT status FROM tds_sync_queue") == "completed"

    async def test_a_worker_that_froze_in_its_transaction_is_cut_off(self, database: Database) -> None:
        """The server ends its session, and with it the locks, within the lease."""
        await enqueue(database, change("1", {"name": "a"}))

        async def freeze(assignments: object) -> None:
            del assignments
            idle = (
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
            )

            async def cut_off() -> bool:
                return not await value(database, idle)

            await eventually(cut_off)

        settings = worker(database).settings.model_copy(update={"lease_seconds": 1.0})
        frozen = worker(database, FakeTarget(before=freeze), settings=settings)
        with pytest.raises(Exception, match=r"(?s)."):
            await frozen.process_batch()
        assert await value(database, "SELECT count(*) FROM erp_products") == 0
        await expire_leases(database)
        async with database.transaction() as session:
            await claims.rescue(session, quarantine_after=3)
        await drain(database)
        assert await value(database, "SELECT count(*) FROM erp_products") == 1

    async def test_a_final_item_cannot_be_processed_again(self, database: Database) -> None:
        """Asked for by id, it is left alone; an id that is none is told."""
        (queue_id,) = await enqueue(database, change("1", {"name": "a"}))
        assert len((await worker(database).process_event(queue_id)).ends) == 1
        assert not (await worker(database).process_event(queue_id)).ends
        with pytest.raises(TdsError):
            await worker(database).process_event("00000000-0000-7000-8000-000000000000")
