"""What applying a batch leaves behind, whatever its items are."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from app.core.database import Database
from app.tds.core.errors import SourceThrottledError
from app.tds.core.ports import Assignment
from tests.support.pipeline import (
    NOW,
    TIME,
    FakeTarget,
    change,
    drain,
    enqueue,
    eventually,
    execute,
    rows,
    snapshot,
    statements,
    value,
    worker,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]
OUTCOMES = "SELECT source_entity_id, status, outcome, attempts, errors FROM tds_sync_queue ORDER BY id"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LEDGER = "SELECT * FROM tds_entities WHERE source_entity_id = '1'"


async def outcomes(database: Database) -> list[str]:
    """How the items ended, in the order in which they were queued."""
    return [one["outcome"] or one["status"] for one in await rows(database, OUTCOMES)]


class TestNewestWins:
    """P3, in the database."""

    async def test_supersedes_an_older_version(self, database: Database) -> None:
        """No write, no audit, no event; the ledger keeps the newer version."""
        await enqueue(database, change("1", {"name": "new"}, minutes=5))
        await drain(database)
        before = await snapshot(database)
        await enqueue(database, change("1", {"name": "old"}, minutes=4))
        await drain(database)
        assert await outcomes(database) == ["created", "superseded"]
        assert await snapshot(database) == before

    async def test_applies_only_the_newest_of_a_batch(self, database: Database) -> None:
        """Completed with what only older ones know, and told once."""
        await enqueue(
            database,
            change("1", {"name": "a", "sku": "s"}, minutes=1),
            change("1", {"name": "c"}, minutes=3),
            change("1", {"name": "b"}, minutes=2),
        )
        await drain(database)
        assert await outcomes(database) == ["superseded", "created", "superseded"]
        (product,) = await rows(database, "SELECT name, sku FROM erp_products")
        assert product == {"name": "c", "sku": "s"}
        assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 1

    async def test_an_unchanged_item_leaves_neither_audit_nor_event(self, database: Database) -> None:
        """The ledger's version moves on, nothing else does."""
        await enqueue(database, change("1", {"name": "a", "price": "1.50"}, minutes=1))
        await drain(database)
        await enqueue(database, change("1", {"name": "a", "price": "1.5000"}, minutes=2))
        await drain(database)
        assert await outcomes(database) == ["created", "unchanged"]
        assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 1
        assert await value(database, "SELECT count(*) FROM event_log") == 1
        assert await value(database, "SELECT version_time FROM tds_entities") == change("", minutes=2).version_time

    async def test_a_deleted_entity_stays_deleted_and_comes_back_as_itself(self, database: Database) -> None:
        """A tombstone refuses what is older; what is newer finds its local id again."""
        await enqueue(database, change("1", {"name": "a"}, minutes=1))
        await drain(database)
        local_id = await value(database, "SELECT local_id FROM tds_entities")
        await enqueue(database, change("1", minutes=5))
        await drain(database)
        await enqueue(database, change("1", {"name": "late"}, minutes=4))
        await drain(database)
        assert await value(database, "SELECT count(*) FROM erp_products") == 0
        (tombstone,) = await rows(database, LEDGER)
        assert (tombstone["deleted"], tombstone["local_id"]) == (True, local_id)
        await enqueue(database, change("1", {"name": "back"}, minutes=6))
        await drain(database)
        (product,) = await rows(database, "SELECT id, name FROM erp_products")
        assert (str(product["id"]), product["name"]) == (local_id, "back")
        assert await outcomes(database) == ["created", "deleted", "superseded", "created"]
        assert not (await rows(database, LEDGER))[0]["deleted"]

    async def test_an_older_good_change_survives_a_newer_bad_one(self, database: Database) -> None:
        """P3, P6: what was passed over for a change that then failed was not overtaken by anything."""
        await enqueue(database, change("1", {"name": "bad"}, minutes=2), change("1", {"name": "good"}, minutes=1))
        target = FakeTarget(rejecting=set())

        async def refuse(assignments: Any) -> None:
            if any(one.document.name == "bad" for one in assignments):
                raise ValueError("bad")

        target.before = refuse
        await drain(database, target, policy=NOW)
        assert await outcomes(database) == ["dead_letter", "created"]
        assert await value(database, "SELECT name FROM erp_products") == "good"

    async def test_what_an_item_overtook_gets_its_own_chance_when_it_fails(self, database: Database) -> None:
        """The same, where the older one arrived first."""
        await enqueue(database, change("1", {"name": "good"}, minutes=1), change("1", {"name": "bad"}, minutes=2))

        async def refuse(assignments: Any) -> None:
            if any(one.document.name == "bad" for one in assignments):
                raise ValueError("bad")

        await drain(database, FakeTarget(before=refuse), policy=NOW)
        assert await outcomes(database) == ["created", "dead_letter"]


class TestOneBadItem:
    """P6: 99 of 100 are applied."""

    @pytest.mark.parametrize(
        "trouble",
        [
            ("INSERT INTO erp_products (id, name) VALUES (gen_random_uuid(), '')", {}),
            ("SELECT CAST(:n AS int)", {"n": 2**40}),
            ("SELECT CAST(:n AS timestamptz)", {"n": "no time"}),
            ("SELECT CAST(:n AS text)", {"n": "half a pair \ud83d"}),
            ("SELECT CAST(:n AS text)", {"n": "nul \x00"}),
            ("SELECT 1 / 0", {}),
            ("SELECT nonsense", {}),
        ],
        ids=["check", "driver-range", "driver-type", "surrogate", "nul", "division", "syntax"],
    )
    async def test_of_the_database(self, database: Database, trouble: tuple[str, dict[str, Any]]) -> None:
        """Whatever the database or its driver refuses."""
        await enqueue(database, *(change(f"{number}", {"name": "a"}) for number in range(100)))
        await drain(database, FakeTarget(sql={"50": trouble}), policy=NOW)
        assert await value(database, "SELECT count(*) FROM erp_products") == 99
        (bad,) = await rows(database, "SELECT source_entity_id, status FROM tds_sync_queue WHERE status <> 'completed'")
        assert bad == {"source_entity_id": "50", "status": "dead_letter"}
        assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 99

    @pytest.mark.parametrize(
        "error",
        [
            RuntimeError("no"),
            TimeoutError("a call of the target's"),
            ConnectionError("another"),
            RuntimeError("nul \x00"),
            RuntimeError("half a pair \ud83d"),
        ],
        ids=["bug", "timeout", "connection", "nul", "surrogate"],
    )
    async def test_of_the_target(self, database: Database, error: Exception) -> None:
        """Whatever a target raises, the transaction is as good as before."""
        await enqueue(database, *(change(f"{number}", {"name": "a"}) for number in range(100)))
        busy = worker(database, FakeTarget(always={"50": error}), policy=NOW)
        for _ in range(4):
            await busy.process_batch()
        assert await value(database, "SELECT count(*) FROM erp_products") == 99
        assert await value(database, "SELECT status FROM tds_sync_queue WHERE source_entity_id = '50'") == "dead_letter"

    async def test_of_the_document(self, database: Database) -> None:
        """Amounts without an end, a field that does not exist, a type that nobody applies."""
        await enqueue(
            database,
            change("1", {"name": "a", "credit_limit": "1e30"}, entity_type="customer"),
            change("2", {"name": "a", "prise": "1"}),
            change("3", {"name": "a"}, entity_type="spaceship"),
            change("4", {"name": "a", "custom_fields": {"n": 10**40}}),
            change("5", {"name": "a"}),
        )
        await drain(database, policy=NOW)
        assert await outcomes(database) == ["dead_letter"] * 4 + ["created"]

    async def test_with_two_persons_of_one_id(self, database: Database) -> None:
        """The customer is given up at once, or one of the two is kept: it is not tried for minutes."""
        persons = [{"source_id": "7", "first_name": "a"}, {"source_id": "7", "first_name": "b"}]
        await enqueue(database, change("1", {"name": "a", "contact_persons": persons}, entity_type="customer"))
        await drain(database)
        assert await value(database, "SELECT status FROM tds_sync_queue") in {"dead_letter", "completed"}


class TestRetry:
    """What an item that fails goes through."""

    async def test_is_tried_again_when_due_and_then_given_up(self, database: Database) -> None:
        """Three attempts, all errors kept, one letter, and the events that tell of it."""
        await enqueue(database, change("1", {"name": "a"}))
        target = FakeTarget(failing={"1": deque(RuntimeError(f"no {number}") for number in range(3))})
        busy = worker(database, target)
        for attempts in (1, 2):
            await busy.process_batch()
            (row,) = await rows(database, "SELECT status, attempts, next_retry_at - now() AS wait FROM tds_sync_queue")
            assert (row["status"], row["attempts"]) == ("retry", attempts)
            assert 50 * attempts < row["wait"].total_seconds() < 70 * attempts
            assert not (await busy.process_batch()).ends
            await execute(database, "UPDATE tds_sync_queue SET next_retry_at = now()")
        await busy.process_batch()
        (row,) = await rows(database, OUTCOMES)
        assert (row["status"], row["attempts"]) == ("dead_letter", 3)
        assert [error["reason"] for error in row["errors"]] == ["no 0", "no 1", "no 2"]
        assert [error["attempt"] for error in row["errors"]] == [1, 2, 3]
        (letter,) = await rows(database, "SELECT * FROM tds_dead_letter_queue")
        assert (letter["total_attempts"], letter["failure_reason"]) == (3, "no 2")
        assert "RuntimeError: no 2" in letter["stack"]
        types = [
            one["event_type"] for one in await rows(database, "SELECT event_type FROM event_log ORDER BY position")
        ]
        assert types == ["tds.entity.failed", "tds.entity.failed", "tds.deadletter.added"]
        assert await value(database, "SELECT count(*) FROM erp_products") == 0

    async def test_is_given_up_at_once_when_a_rule_is_broken(self, database: Database) -> None:
        """A rejection is not tried again."""
        await enqueue(database, change("1", {"name": "a"}))
        target = FakeTarget(rejecting={"1"})
        await drain(database, target)
        (letter,) = await rows(database, "SELECT error_code, errors, total_attempts FROM tds_dead_letter_queue")
        assert (letter["error_code"], letter["total_attempts"]) == ("rule", 1)
        assert letter["errors"][0]["field"] == "name"

    async def test_spends_no_attempt_while_throttled(self, database: Database) -> None:
        """P8: as often as the source likes."""
        await enqueue(database, change("1", {"name": "a"}))
        target = FakeTarget(failing={"1": deque(SourceThrottledError(retry_after=0) for _ in range(10))})
        await drain(database, target)
        (row,) = await rows(database, OUTCOMES)
        assert (row["status"], row["attempts"]) == ("completed", 0)

    async def test_counts_for_its_worker(self, database: Database) -> None:
        """``processed`` and ``failed`` are what a worker tells of itself."""
        await enqueue(database, change("1", {"name": "a"}), change("2", {}), change("3", {"name": "a"}))
        busy = await drain(database)
        assert (busy.processed, busy.failed) == (3, 1)


class TestStatements:
    """P10: what a batch costs."""

    async def _sent(self, database: Database, amount: int, offset: int) -> list[str]:
        names = [f"{number}" for number in range(offset, offset + amount)]
        await enqueue(
            database, *(change(name, {"name": "a"}, minutes=5) for index, name in enumerate(names) if index % 5)
        )
        await drain(database, settings=None)
        mixed = [
            change(name, [{"name": "a"}, {"name": "b"}, {"name": "a"}, None, {"name": "c"}][index % 5], minutes=minutes)
            for index, name in enumerate(names)
            for minutes in ([1] if index % 5 == 4 else [6, 7])
        ]
        mixed += [change(f"bad{offset + number}", {}) for number in range(max(1, amount // 5))]
        await enqueue(database, *mixed)
        busy = worker(database)
        with statements(database) as sent:
            await busy.process_batch(1_000)
        assert await value(database, "SELECT count(*) FROM tds_sync_queue WHERE completed_at IS NULL") == 0
        return sent

    async def test_are_as_many_for_ten_items_as_for_three_hundred(self, database: Database) -> None:
        """Created, updated, unchanged, deleted, superseded and given up, all in one batch."""
        few, many = await self._sent(database, 10, 0), await self._sent(database, 300, 1_000)
        assert [sql.split()[:4] for sql in few] == [sql.split()[:4] for sql in many]
        kinds = await rows(database, "SELECT DISTINCT outcome FROM tds_sync_queue ORDER BY 1")
        assert {one["outcome"] for one in kinds} == {
            "created",
            "updated",
            "unchanged",
            "deleted",
            "superseded",
            None,
        }


class TestOneWriter:
    """P4: two workers, one entity."""

    async def test_the_second_waits_for_the_first_and_the_newest_wins(self, database: Database) -> None:
        """Whoever holds the older version comes second and finds that it is older."""
        (first,) = await enqueue(database, change("1", {"name": "new"}, minutes=2))
        (second,) = await enqueue(database, change("1", {"name": "old"}, minutes=1))
        inside, go = asyncio.Event(), asyncio.Event()

        async def hold(assignments: Sequence[Assignment]) -> None:
            del assignments
            inside.set()
            await go.wait()

        slow = asyncio.create_task(worker(database, FakeTarget(before=hold)).process_event(first))
        await inside.wait()
        other = FakeTarget()
        quick = asyncio.create_task(worker(database, other).process_event(second))

        async def waits() -> bool:
            return bool(await value(database, WAITING))

        await eventually(waits)
        assert not quick.done()
        go.set()
        await asyncio.gather(slow, quick)
        assert await outcomes(database) == ["created", "superseded"]
        assert not other.batches
        assert await value(database, "SELECT name FROM erp_products") == "new"

    async def test_many_workers_end_in_the_newest_of_every_entity(self, database: Database) -> None:
        """Six workers, twenty entities, three hundred changes in any order: no error, and the newest stands."""
        changes = [change(f"{n % 20}", {"name": f"v{n * 7 % 300}"}, minutes=n * 7 % 300) for n in range(300)]
        await enqueue(database, *changes)

        async def work() -> None:
            busy = worker(database)
            while (await busy.process_batch(13)).ends:
                pass

        await asyncio.gather(*(work() for _ in range(6)))
        assert await value(database, "SELECT count(*) FROM tds_sync_queue WHERE status <> 'completed'") == 0
        newest = {
            one.source_entity_id: one.payload for one in sorted(changes, key=lambda one: one.version_time or TIME)
        }
        stored = await rows(
            database,
            "SELECT entity.source_entity_id, name FROM tds_entities AS entity"
            " JOIN erp_products AS product ON product.id::text = entity.local_id",
        )
        assert {one["source_entity_id"]: f'{{"name": "{one["name"]}"}}' for one in stored} == newest
        assert await value(database, "SELECT count(*) FROM erp_products") == 20
