"""Rollups: what ended is counted where it ended, and added up over hours and minutes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.core.database import Database
from app.core.errors import InvalidError
from app.tds.core import rollups
from app.tds.core.queue import TDSQueueService
from app.tds.monitoring import reads
from app.tds.sql import statement
from tests.integration.monitoring.conftest import working
from tests.support.pipeline import (
    NOW,
    FakeTarget,
    change,
    drain,
    enqueue,
    eventually,
    execute,
    rows,
    statements,
    store,
    validate,
    value,
    worker,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

MINUTES = """
    INSERT INTO tds_metrics (minute, worker_id, entity_type, processed, succeeded, failed, retried, dead,
                             latency_sum_ms, latency_max_ms, latency_counts)
    SELECT minute, 'w' || w, kind, 3, 2, 1, 1, 0, 8, 5, '{1,1,0,0,0,0,0,0,0,0,0,0,0,0}'
    FROM generate_series(date_trunc('minute', now(), 'UTC') - interval '3 days', now(), interval '7 minutes') AS minute,
         generate_series(1, 2) AS w, unnest(ARRAY['product', 'customer']) AS kind
"""
COUNTED = """
    SELECT entity_type, sum(processed) AS processed, sum(succeeded) AS succeeded, sum(retried) AS retried,
           sum(dead) AS dead, sum(created) AS created, sum(deleted) AS deleted
    FROM tds_metrics GROUP BY 1 ORDER BY 1
"""


async def counted(database: Database) -> dict[str, dict[str, Any]]:
    """What the rollups say, by entity type."""
    return {one.pop("entity_type"): one for one in await rows(database, COUNTED)}


class TestRollups:
    """What ended is counted where it ended."""

    async def test_say_what_became_of_every_attempt(self, database: Database) -> None:
        """A failure that is tried again counts each time; what is deferred does not."""
        target = FakeTarget(always={"bad": ValueError("no")}, rejecting={"rule"})
        parent = change("child", {"name": "c", "parent_source_id": "nobody"}, entity_type="customer")
        changes = [change(one, {"name": "a"}) for one in ("1", "2", "bad", "rule")]
        await enqueue(database, *changes, parent, change("x", {}, entity_type="no_such_type"))
        await drain(database, target, policy=NOW, name="w1")
        found = await counted(database)
        assert found["product"] == {
            "processed": 6,
            "succeeded": 2,
            "retried": 2,
            "dead": 2,
            "created": 2,
            "deleted": 0,
        }
        assert "customer" not in found
        assert (found["unknown"]["processed"], found["unknown"]["dead"]) == (1, 1)
        assert await value(database, "SELECT DISTINCT worker_id FROM tds_metrics") == "w1"

    async def test_take_one_statement_a_batch(self, database: Database) -> None:
        """However many items and types."""
        await enqueue(database, *(change(f"{n}", {"name": "a"}) for n in range(50)))
        await enqueue(database, *(change(f"{n}", {"name": "a"}, entity_type="customer") for n in range(50)))
        with statements(database) as sent:
            await worker(database).process_batch()
        assert sum("INSERT INTO tds_metrics" in sql for sql in sent) == 1
        assert {name: one["succeeded"] for name, one in (await counted(database)).items()} == {
            "customer": 50,
            "product": 50,
        }

    async def test_vanish_with_what_is_rolled_back(self, database: Database) -> None:
        """A crash before the commit did not happen."""
        await enqueue(database, change("1", {"name": "a"}))
        async with database.session() as session, session.begin() as transaction:
            busy = worker(database)
            busy.db = session
            assert (await busy.process_batch()).ends
            await transaction.rollback()
        assert await counted(database) == {}

    async def test_count_what_never_became_a_queue_item(self, database: Database) -> None:
        """Validation's dead letters are failures as well."""
        for number in range(3):
            await store(database, f"no json {number}".encode())
        await validate(database)
        assert (await counted(database))["unknown"]["dead"] == 3

    async def test_count_what_a_person_has_done(self, database: Database) -> None:
        """One success, in a row that no worker writes."""
        (identifier,) = await enqueue(database, change("1", {"name": "a"}))
        async with database.session() as session:
            await TDSQueueService(session).mark_as_completed(identifier)
        assert (await counted(database))["product"]["succeeded"] == 1
        assert str(await value(database, "SELECT worker_id FROM tds_metrics")).startswith("connection-")

    async def test_are_exact_with_several_workers_at_once(self, database: Database) -> None:
        """Each has its own rows, and their sum is what was done."""
        bad = {f"p{n}" for n in range(0, 600, 7)}
        async with working(database, FakeTarget(rejecting=bad)):
            await enqueue(database, *(change(f"p{n}", {"name": "a"}) for n in range(600)))

            async def done() -> bool:
                return not await value(database, "SELECT count(*) FROM tds_sync_queue WHERE completed_at IS NULL")

            await eventually(done, 60)
        one = (await counted(database))["product"]
        assert (one["processed"], one["succeeded"], one["dead"]) == (600, 600 - len(bad), len(bad))


class TestSums:
    """Hours and minutes together."""

    async def test_are_the_same_with_and_without_closed_hours(self, database: Database) -> None:
        """Any span, at any minute, against the plain sum."""
        await execute(database, MINUTES)
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        draw = random.Random(7)
        ends = [sorted(draw.sample(range(4_400), 2), reverse=True) for _ in range(40)]
        spans = [(now - timedelta(minutes=a), now - timedelta(minutes=b)) for a, b in ends]
        plain = [await self._plain(database, *one) for one in spans]
        assert any(sum(one.values()) > 1_000 for one in plain)
        assert [await self._read(database, *one) for one in spans] == plain
        await execute(database, str(statement("close_hours")))
        assert await value(database, "SELECT count(*) FROM tds_metric_hours") > 100
        assert [await self._read(database, *one) for one in spans] == plain

    async def test_follow_a_transaction_that_was_late(self, database: Database) -> None:
        """What is committed into an hour that was closed shows after the next closing."""
        await execute(database, MINUTES, str(statement("close_hours")))
        late = "UPDATE tds_metrics SET processed = processed + 1, succeeded = succeeded + 1 WHERE minute = :m"
        minute = await value(
            database,
            "SELECT max(minute) FROM tds_metrics"
            " WHERE minute < date_trunc('hour', now() - interval '5 minutes', 'UTC')",
        )
        before = await self._read(database, minute - timedelta(hours=5), datetime.now(UTC))
        async with database.transaction() as session:
            await session.execute(text(late), {"m": minute})
        await execute(database, str(statement("close_hours")))
        after = await self._read(database, minute - timedelta(hours=5), datetime.now(UTC))
        assert {name: after[name] - before[name] for name in after} == {"product": 2, "customer": 2}

    async def _read(self, database: Database, since: datetime, until: datetime) -> dict[str, int]:
        async with database.session() as session:
            sums = await reads.read_sums(session, since=since, until=until)
        for one in sums.values():
            assert sum(one.latency_counts) == one.succeeded or one.succeeded > sum(one.latency_counts)
        return {name: one.processed for name, one in sums.items()}

    async def _plain(self, database: Database, since: datetime, until: datetime) -> dict[str, int]:
        found = await rows(
            database,
            "SELECT entity_type, sum(processed) AS n FROM tds_metrics WHERE minute >= :a AND minute < :b GROUP BY 1",
            a=since,
            b=until,
        )
        return {one["entity_type"]: one["n"] for one in found}


class TestRates:
    """The last full minutes, and today."""

    async def test_leave_idle_minutes_out_of_the_pace(self, database: Database) -> None:
        """A hundred attempts in two of five minutes are fifty a minute."""
        row = (
            "INSERT INTO tds_metrics"
            " (minute, worker_id, entity_type, processed, succeeded, failed, dead, latency_counts)"
            " VALUES (date_trunc('minute', now()) - interval '{} minutes', 'w', 'product', 50, 40, 10, 10,"
            " '{{0,0,0,0,0,0,0,0,0,0,0,0,0,0}}')"
        )
        await execute(database, *(row.format(minutes) for minutes in (0, 2, 4, 6)))
        async with database.session() as session:
            rates = await reads.read_rates(session, 5)
            assert (await reads.read_rates(session, 1)).per_minute == 0.0
            with pytest.raises(InvalidError):
                await reads.read_rates(session, 0)
        assert (rates.total.processed, rates.active_minutes) == (100, 2)
        assert (rates.per_minute, rates.error_rate) == (50.0, 20.0)
        assert rates.by_type["product"].dead == 20

    async def test_today_includes_this_minute(self, database: Database) -> None:
        """What was done a moment ago counts."""
        await enqueue(database, change("1", {"name": "a"}), change("2", {"name": "a"}))
        await drain(database, FakeTarget(rejecting={"2"}))
        async with database.session() as session:
            today = await reads.read_today(session, UTC)
        assert (today.completed, today.failed, today.dead) == (1, 1, 1)

    async def test_series_have_a_point_for_every_step(self, database: Database) -> None:
        """Idle ones too; hours are the sum of their minutes, closed or not; bounded."""
        await execute(database, MINUTES)
        until = datetime.now(UTC)
        since = until - timedelta(hours=20)
        async with database.session() as session:
            minutes = await reads.read_series(session, since=since, until=until)
            hours = await reads.read_series(session, since=since, until=until, step="hour", entity_type="product")
            await session.execute(statement("close_hours"))
            closed = await reads.read_series(session, since=since, until=until, step="hour", entity_type="product")
            with pytest.raises(InvalidError):
                await reads.read_series(session, since=until - timedelta(days=2), until=until)
            with pytest.raises(InvalidError):
                await reads.read_series(session, since=until, until=since)
        assert len(minutes) in {1_200, 1_201}
        assert {one.sums.processed for one in minutes} == {0, 12}
        assert len(hours) == 21
        assert [one.sums.processed for one in hours] == [one.sums.processed for one in closed]
        assert hours[3].sums.processed in {48, 54}


class TestWorkers:
    """Who lives."""

    async def test_are_alive_late_lost_or_stopped(self, database: Database) -> None:
        """By the age of their last heartbeat; those of yesterday are history."""
        beat = (
            "INSERT INTO tds_workers (id, host, pid, version, state, heartbeat_at)"
            " VALUES ('{0}-1', 'h', 1, '1', '{1}', now() - interval '{2} seconds')"
        )
        given = [("a", "idle", 5), ("b", "busy", 40), ("c", "busy", 50), ("d", "stopped", 50), ("e", "idle", 90_000)]
        await execute(database, *(beat.format(*one) for one in given))
        async with database.session() as session:
            found: Sequence[reads.WorkerRow] = await reads.read_workers(session)
        assert {one.process: (one.alive, one.lost) for one in found} == {
            "a": (True, False),
            "b": (False, False),
            "c": (False, True),
            "d": (False, False),
        }


class TestForgetting:
    """Rollups do not grow for ever."""

    async def test_goes_in_bounded_shares(self, database: Database) -> None:
        """What is older than the days kept, a share at a time; hourly sums stay eight times as long."""
        await execute(
            database,
            MINUTES,
            str(statement("close_hours")),
            "UPDATE tds_metrics SET minute = minute - interval '90 days'",
            "UPDATE tds_metric_hours SET hour = hour - interval '90 days'",
            "INSERT INTO tds_workers (id, host, pid, version, heartbeat_at)"
            " VALUES ('a-1', 'h', 1, '1', now() - interval '91 days')",
        )
        hours = await value(database, "SELECT count(*) FROM tds_metric_hours")
        old = await value(
            database,
            "SELECT count(*) FROM tds_metrics WHERE minute < date_trunc('hour', now() - interval '90 days', 'UTC')",
        )
        async with database.transaction() as session:
            gone = [await rollups.forget_rollups(session, days=90, limit=1_000) for _ in range(4)]
        assert gone[0] == 1_001
        assert sum(gone) == old + 1
        assert gone[-1] == 0
        assert await value(database, "SELECT count(*) FROM tds_metric_hours") == hours
