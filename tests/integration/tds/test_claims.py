"""Which items a claim takes, and what becomes of those whose worker is gone."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from app.core.config import QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.errors import ConflictError
from app.tds.core import claims
from app.tds.core.outcomes import ClaimedItem
from app.tds.core.queue import QueueItemClaimedError, TDSQueueService
from app.tds.workers.maintenance import Maintenance
from tests.support.pipeline import (
    FakeTarget,
    body,
    change,
    drain,
    enqueue,
    execute,
    expire_leases,
    rows,
    store,
    validate,
    value,
    worker,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]


async def claim(database: Database, limit: int, *, name: str = "w", lease: float = 60) -> list[ClaimedItem]:
    """Claim and commit."""
    async with database.transaction() as session:
        return await claims.claim(session, worker=name, limit=limit, lease=lease)


async def keep_house(database: Database, *, quarantine_after: int = 3) -> None:
    """One round of maintenance."""
    bell = Doorbell(database)
    settings = QueueSettings(quarantine_after=quarantine_after)
    await Maintenance(database, bell, settings, "keeper").step()
    await bell.close()


class TestClaim:
    """Most urgent first, with a share for the oldest and one for retries that are due."""

    async def test_takes_the_most_urgent_first(self, database: Database) -> None:
        """And among equals the oldest."""
        await enqueue(database, *(change(f"{n}", {"name": "a"}, priority=1 + n % 10) for n in range(100)))
        taken = await claim(database, 20)
        by_age = [item for item in taken if int(item.source_entity_id) < 2]
        assert [item.priority for item in taken if item not in by_age] == [10] * 10 + [9] * 8 or sorted(
            item.priority for item in taken if item not in by_age
        ) == [9] * 8 + [10] * 10

    @pytest.mark.parametrize("limit", [1, 2, 5])
    async def test_a_small_batch_takes_the_most_urgent_too(self, database: Database, limit: int) -> None:
        """Priority holds whatever the batch's size."""
        await enqueue(database, change("old", {"name": "a"}, priority=1))
        await enqueue(database, *(change(f"{n}", {"name": "a"}, priority=10) for n in range(5)))
        assert "10" in {f"{item.priority}" for item in await claim(database, limit)}

    @pytest.mark.parametrize("limit", [10, 50])
    async def test_starves_nobody(self, database: Database, limit: int) -> None:
        """A low priority waits for no more batches than there are older items, whatever urgent ones keep coming."""
        (low,) = await enqueue(database, change("low", {"name": "a"}, priority=1))
        waited = 0
        taken: set[UUID] = set()
        while low not in taken:
            await enqueue(database, *(change(f"{waited}-{n}", {"name": "a"}, priority=10) for n in range(2 * limit)))
            taken |= {item.id for item in await claim(database, limit)}
            waited += 1
            assert waited <= 2

    async def test_bounds_the_wait_behind_older_ones(self, database: Database) -> None:
        """With one place in ten for the oldest, the hundredth is taken within ten batches of a hundred."""
        await enqueue(database, *(change(f"low{n}", {"name": "a"}, priority=1) for n in range(100)))
        left = 100
        for _ in range(10):
            await enqueue(database, *(change("u", {"name": "a"}, priority=10) for _ in range(100)))
            left -= sum(item.priority == 1 for item in await claim(database, 100))
        assert left == 0

    async def test_takes_retries_that_are_due_and_no_others(self, database: Database) -> None:
        """At most half a batch of them."""
        await enqueue(database, *(change(f"{n}", {"name": "a"}) for n in range(30)))
        await execute(
            database,
            "UPDATE tds_sync_queue SET status = 'retry', next_retry_at = now() - interval '1 minute'"
            " WHERE source_entity_id::int < 10",
            "UPDATE tds_sync_queue SET status = 'retry', next_retry_at = now() + interval '1 minute'"
            " WHERE source_entity_id::int BETWEEN 10 AND 19",
        )
        taken = {int(item.source_entity_id) for item in await claim(database, 10)}
        assert len(taken) == 10
        assert len({number for number in taken if number < 10}) == 5
        assert not {number for number in taken if 10 <= number < 20}
        assert len(await claim(database, 100)) == 10

    async def test_gives_every_item_to_one_claimer_only(self, database: Database) -> None:
        """Many rounds, several claimers at once: each item once, and none is left."""
        await enqueue(database, *(change(f"{n}", {"name": "a"}, priority=1 + n % 10) for n in range(400)))
        await execute(
            database,
            "UPDATE tds_sync_queue SET status = 'retry', next_retry_at = now() WHERE source_entity_id::int % 3 = 0",
        )

        async def work(name: str) -> list[UUID]:
            mine: list[UUID] = []
            while taken := await claim(database, 7, name=name):
                assert len(taken) <= 7
                mine += [item.id for item in taken]
            return mine

        found = [one for mine in await asyncio.gather(*(work(f"w{n}") for n in range(5))) for one in mine]
        while more := await claim(database, 50):  # one that was passed over because another was just looking at it
            found += [item.id for item in more]
        assert len(found) == len(set(found)) == 400

    async def test_raises_the_token_with_every_claim(self, database: Database) -> None:
        """It is never rewound."""
        await enqueue(database, change("1", {"name": "a"}))
        for token in (1, 2, 3):
            (item,) = await claim(database, 1)
            assert item.lease_token == token
            async with database.transaction() as session:
                await claims.give_back(session, [item], worker="w")


class TestClaimOne:
    """One item by its id."""

    async def test_takes_it_whether_or_not_it_is_due(self, database: Database) -> None:
        """A person who asks for it does not wait."""
        (queue_id,) = await enqueue(database, change("1", {"name": "a"}))
        await execute(database, "UPDATE tds_sync_queue SET status = 'retry', next_retry_at = now() + interval '1 hour'")
        assert len((await worker(database).process_event(queue_id)).ends) == 1

    async def test_leaves_it_to_whoever_holds_it(self, database: Database) -> None:
        """Under lease, or under lock this very moment: no waiting either way."""
        (queue_id,) = await enqueue(database, change("1", {"name": "a"}))
        async with database.transaction() as session:
            assert await claims.claim_one(session, queue_id, worker="first", lease=60)
            async with database.transaction() as other, asyncio.timeout(5):
                assert await claims.claim_one(other, queue_id, worker="second", lease=60) is None
        async with database.transaction() as other:
            assert await claims.claim_one(other, queue_id, worker="second", lease=60) is None


class TestRescue:
    """Items of workers that are gone."""

    async def test_puts_them_back_and_spends_no_attempt(self, database: Database) -> None:
        """P8: a death is the worker's."""
        await enqueue(database, change("1", {"name": "a"}))
        await claim(database, 1)
        await keep_house(database)
        assert await value(database, "SELECT status FROM tds_sync_queue") == "processing"
        await expire_leases(database)
        await keep_house(database)
        (row,) = await rows(database, "SELECT status, attempts, lease_losses, locked_by FROM tds_sync_queue")
        assert row == {"status": "pending", "attempts": 0, "lease_losses": 1, "locked_by": None}
        await drain(database)
        assert await value(database, "SELECT outcome FROM tds_sync_queue") == "created"

    async def test_puts_poison_into_quarantine(self, database: Database) -> None:
        """After three deaths: a letter that says so, an event, and the inbox ends too (P1)."""
        await store(database, body("1", {"name": "a"}))
        await validate(database)
        for _ in range(3):
            assert len(await claim(database, 1)) == 1
            await expire_leases(database)
            await keep_house(database)
        (row,) = await rows(database, "SELECT status, attempts, errors FROM tds_sync_queue")
        assert (row["status"], row["attempts"], row["errors"][0]["code"]) == ("dead_letter", 0, "poison")
        (letter,) = await rows(database, "SELECT error_code, total_attempts FROM tds_dead_letter_queue")
        assert letter == {"error_code": "poison", "total_attempts": 0}
        assert await value(database, "SELECT status FROM tds_inbox_events") == "dead_letter"
        assert await value(database, "SELECT event_type FROM event_log") == "tds.deadletter.added"

    async def test_quarantines_the_poison_and_not_its_companions(self, database: Database) -> None:
        """P6: an item that kills every worker that touches it takes nobody with it in the end."""
        names = [f"{n}" for n in range(20)]
        await enqueue(database, *(change(name, {"name": "a"}) for name in names))
        for _ in range(60):
            items = await claim(database, 10)
            if any(item.source_entity_id == "7" for item in items):
                await expire_leases(database)  # the worker is dead
            elif items:
                async with database.transaction() as session:
                    await worker(database).applier.apply(session, items, worker="w")
            await keep_house(database)
        dead = await rows(database, "SELECT source_entity_id FROM tds_sync_queue WHERE status = 'dead_letter'")
        assert [one["source_entity_id"] for one in dead] == ["7"]
        assert await value(database, "SELECT count(*) FROM erp_products") == 19


class TestGiveBack:
    """What a worker returns when the trouble is not its items'."""

    async def test_spends_nothing(self, database: Database) -> None:
        """P8: neither an attempt nor a loss."""
        await enqueue(database, change("1", {"name": "a"}))
        await execute(database, "ALTER TABLE tds_audit_trail RENAME TO gone")
        with pytest.raises(Exception, match="tds_audit_trail"):
            await worker(database).process_batch()
        await execute(database, "ALTER TABLE gone RENAME TO tds_audit_trail")
        (row,) = await rows(database, "SELECT status, attempts, lease_losses FROM tds_sync_queue")
        assert row == {"status": "pending", "attempts": 0, "lease_losses": 0}


class TestMarkAsCompleted:
    """Items that were handled by hand."""

    async def test_is_refused_where_a_worker_has_it_or_it_has_ended(self, database: Database) -> None:
        """The worker will end it itself; a dead letter has a way of its own."""
        (queue_id,) = await enqueue(database, change("1", {}))
        (item,) = await claim(database, 1)
        async with database.session() as session:
            with pytest.raises(QueueItemClaimedError):
                await TDSQueueService(session).mark_as_completed(queue_id)
            await claims.give_back(session, [item], worker="w")
            await session.commit()
            await drain(database)
            with pytest.raises(ConflictError):
                await TDSQueueService(session).mark_as_completed(queue_id)

    async def test_ends_the_inbox_too_and_twice_is_once(self, database: Database) -> None:
        """P1."""
        await store(database, body("1", {"name": "a"}))
        await validate(database)
        queue_id = await value(database, "SELECT id FROM tds_sync_queue")
        async with database.session() as session:
            first = await TDSQueueService(session).mark_as_completed(queue_id, "local-1")
            ended = first.completed_at
            second = await TDSQueueService(session).mark_as_completed(queue_id, "local-2")
        assert (second.target_entity_id, second.completed_at) == ("local-1", ended)
        assert await value(database, "SELECT status FROM tds_inbox_events") == "completed"

    async def test_keeps_a_held_entry_up_to_date(self, database: Database) -> None:
        """Whoever enqueued it sees what a worker made of it."""
        async with database.session() as session:
            entry = await TDSQueueService(session).enqueue(
                entity_type="product", source_entity_id="1", operation_type="create", validated_payload={"name": "a"}
            )
        await drain(database, FakeTarget())
        assert (entry.status, entry.outcome) == ("completed", "created")
