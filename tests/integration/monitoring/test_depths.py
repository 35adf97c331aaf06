"""The queue's depths and the ledger's totals: counted where that is cheap, and never more than that."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.core.database import Database
from app.tds.monitoring import reads
from app.tds.monitoring.depths import by_index, take_sample
from app.tds.monitoring.entities import count_entities
from app.tds.sql import statement
from tests.support.pipeline import TIME, FakeTarget, change, drain, enqueue, execute, store, value

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

PENDING = """
    INSERT INTO tds_sync_queue (id, source, entity_type, source_entity_id, operation_type, validated_payload)
    SELECT gen_random_uuid(), 'zoho', CASE WHEN n % 4 = 0 THEN 'customer' ELSE 'product' END, 'x', 'upsert', '{{}}'
    FROM generate_series(1, {amount}) AS n
"""


class TestDepths:
    """Counted where it is short, sampled where it is long."""

    async def test_are_exact_while_the_queue_is_short(self, database: Database) -> None:
        """Every state, and the oldest one's age."""
        await execute(database, PENDING.format(amount=7))
        await execute(
            database,
            "UPDATE tds_sync_queue SET created_at = now() - interval '9 minutes'",
            "UPDATE tds_sync_queue SET status = 'retry', next_retry_at = now() - interval '1 second'"
            " WHERE id IN (SELECT id FROM tds_sync_queue ORDER BY id DESC LIMIT 2)",
            "UPDATE tds_sync_queue SET status = 'processing', locked_by = 'w',"
            " lock_expires_at = now() - interval '5 minutes', next_retry_at = NULL"
            " WHERE id IN (SELECT id FROM tds_sync_queue WHERE status = 'retry' LIMIT 1)",
        )
        await store(database, b"{}")
        async with database.session() as session:
            depths = await reads.read_depths(session)
        assert (depths.pending, depths.processing, depths.retry, depths.retry_ready) == (5, 1, 1, 1)
        assert (depths.stale, depths.inbox, depths.dead_letter) == (1, 1, 0)
        assert 540 <= depths.oldest_pending_seconds < 600
        assert (depths.sampled_at, depths.sampled, depths.at_least) == (None, frozenset(), frozenset())

    async def test_say_what_is_a_sample(self, database: Database) -> None:
        """Above ten thousand; without a sample, that it is more than that; exact again once it is short."""
        await execute(database, PENDING.format(amount=12_000))
        async with database.transaction() as session:
            bare = await reads.read_depths(session)
            await take_sample(session)
        await execute(database, PENDING.format(amount=10))
        async with database.session() as session:
            depths, entities = await reads.read_depths(session), await reads.read_entities(session)
        assert (bare.pending, bare.at_least) == (10_001, {"pending"})
        assert (depths.pending, depths.sampled, depths.at_least) == (12_000, {"pending"}, frozenset())
        assert depths.sampled_at is not None
        assert {one.entity_type: one.pending for one in entities} == {"product": 9_000, "customer": 3_000}
        assert all(one.pending_sampled for one in entities)
        await execute(database, "DELETE FROM tds_sync_queue")
        async with database.session() as session:
            depths, entities = await reads.read_depths(session), await reads.read_entities(session)
            (sample,) = await reads.read_depth_series(
                session, since=datetime.now(UTC) - timedelta(hours=1), until=datetime.now(UTC) + timedelta(minutes=1)
            )
        assert (depths.pending, depths.sampled, entities) == (0, frozenset(), [])
        assert (sample.pending, sample.pending_by_type) == (12_000, {"product": 9_000, "customer": 3_000})

    async def test_leave_a_very_long_queue_to_a_fresh_sample(self, database: Database) -> None:
        """It is not counted at all; a sample of long ago is not trusted so far."""
        await execute(database, PENDING.format(amount=21_000))
        async with database.transaction() as session:
            await take_sample(session)
        await execute(database, "DELETE FROM tds_sync_queue")
        async with database.session() as session:
            fresh = await reads.read_depths(session)
        await execute(database, "UPDATE tds_queue_samples SET sampled_at = now() - interval '10 minutes'")
        async with database.session() as session:
            old = await reads.read_depths(session)
        assert (fresh.pending, fresh.sampled) == (21_000, {"pending"})
        assert (old.pending, old.sampled) == (0, frozenset())

    @pytest.mark.parametrize("analysed", ["never", "empty", "full"])
    async def test_plans_read_unfinished_rows_only(self, database: Database, analysed: str) -> None:
        """Whatever the statistics say: no scan of the queue, no sort of what waits."""
        if analysed == "empty":
            await execute(database, "ANALYZE tds_sync_queue", "ANALYZE tds_dead_letter_queue")
        await execute(
            database,
            PENDING.format(amount=5_000),
            "UPDATE tds_sync_queue SET status = 'completed', outcome = 'updated', completed_at = now()",
            PENDING.format(amount=3_000),
        )
        if analysed == "full":
            await execute(database, "ANALYZE tds_sync_queue")
        parameters = {"limit": 10_001, "stale_after": timedelta(minutes=1)}
        async with database.transaction() as session, by_index(session):
            explained = text(f"EXPLAIN {statement('count_depths')}")
            plan = "\n".join((await session.execute(explained, parameters)).scalars())
        lines = [line for line in plan.splitlines() if "Seq Scan" in line or "Bitmap" in line]
        assert not lines, plan
        assert plan.count("Index Only Scan") + plan.count("Index Scan") > 7

    async def test_leave_the_planner_as_it_was(self, database: Database) -> None:
        """What comes after in the same transaction is planned as always."""
        async with database.transaction() as session:
            await reads.read_depths(session)
            settings = await session.execute(text("SELECT setting FROM pg_settings WHERE name LIKE 'enable\\_s%'"))
            assert set(settings.scalars()) == {"on"}


class TestEntities:
    """How many are in step, without counting them."""

    async def test_totals_are_those_of_the_ledger(self, database: Database) -> None:
        """Created, deleted, and brought back in any order, counted in between or not."""
        draw = random.Random(3)
        for turn in range(12):
            some = [f"p{draw.randrange(40)}" for _ in range(25)]
            await enqueue(
                database,
                *(change(one, None if draw.random() < 0.4 else {"name": f"n{turn}"}) for one in some),
            )
            await drain(database)
            if turn in {2, 7}:
                async with database.transaction() as session:
                    await count_entities(session)
            assert await self._totals(database) == await self._ledger(database)

    async def test_show_the_last_sync_and_the_newest_change(self, database: Database) -> None:
        """From the rollups as well as from the ledger's count; failures of the day beside them."""
        changes = [change(f"p{n}", {"name": "a"}, minutes=n) for n in range(5)]
        await enqueue(database, *changes, change("bad", {"name": "a"}))
        await drain(database, FakeTarget(rejecting={"bad"}))
        before = await self._product(database)
        async with database.transaction() as session:
            await count_entities(session)
        await execute(database, "UPDATE tds_metrics SET last_at = NULL, newest_change_at = NULL")
        after = await self._product(database)
        for one in (before, after):
            assert one.newest_change_at == TIME + timedelta(minutes=4)
            assert one.last_sync is not None
            assert datetime.now(UTC) - one.last_sync < timedelta(minutes=5)
            assert (one.total_synced, one.failed_last_24h, one.pending) == (5, 1, 0)
            assert round(one.success_rate, 1) == 83.3

    async def test_are_none_where_nothing_is_known(self, database: Database) -> None:
        """A type that nobody has synced is not shown."""
        async with database.transaction() as session:
            await count_entities(session)
            assert await reads.read_entities(session) == []

    async def _product(self, database: Database) -> reads.EntityFigures:
        async with database.session() as session:
            (one,) = await reads.read_entities(session)
        return one

    async def _totals(self, database: Database) -> int:
        return (await self._product(database)).total_synced

    async def _ledger(self, database: Database) -> int:
        return await value(database, "SELECT count(*) FROM tds_entities WHERE local_id IS NOT NULL AND NOT deleted")
