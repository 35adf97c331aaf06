"""What items wait for: a parent that is not here yet, or the end of a pause. It spends no attempts (P8)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.core.config import RetryOverride, RetrySettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.errors import ConfigurationError
from app.tds.core import pauses
from app.tds.core.apply import Applier
from app.tds.core.outcomes import Dead, Defer
from app.tds.core.ports import RawRecord
from app.tds.core.retry import RetryPolicy
from app.tds.core.waiting import MissingParents
from app.tds.types import EntityType
from app.tds.workers.parents import ParentFetcher
from tests.support.pipeline import (
    TIME,
    FakeSource,
    FakeTarget,
    change,
    claimed,
    drain,
    enqueue,
    execute,
    rows,
    value,
    worker,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

CHILD = {"name": "Branch", "parent_source_id": "head"}
PARENTS = (
    "SELECT child.name, parent.name AS parent FROM erp_customers AS child "
    "LEFT JOIN erp_customers AS parent ON parent.id = child.parent_id ORDER BY child.name"
)


async def item(database: Database, source_entity_id: str) -> dict[str, object]:
    """How an entity's item stands."""
    sql = "SELECT status, waits_for, attempts, deferrals FROM tds_sync_queue WHERE source_entity_id = :id"
    return (await rows(database, sql, id=source_entity_id))[0]


class TestMissingParent:
    """A customer that belongs to another."""

    async def test_waits_without_spending_attempts_and_is_woken_by_the_parents_commit(self, database: Database) -> None:
        """The child comes first; nobody has to wait for its next try once the parent is here."""
        await enqueue(database, change("branch", CHILD, entity_type="customer"))
        await drain(database)
        waiting = await item(database, "branch")
        assert waiting == {
            "status": "retry",
            "waits_for": "entity:zoho:customer:head",
            "attempts": 0,
            "deferrals": 1,
        }
        await enqueue(database, change("head", {"name": "Head office"}, entity_type="customer"))
        await drain(database)
        assert (await item(database, "branch"))["status"] == "completed"
        assert {"name": "Branch", "parent": "Head office"} in await rows(database, PARENTS)

    async def test_parent_and_child_in_one_batch(self, database: Database) -> None:
        """The child is woken in the transaction in which it began to wait."""
        await enqueue(
            database,
            change("branch", CHILD, entity_type="customer"),
            change("head", {"name": "Head office"}, entity_type="customer"),
        )
        await drain(database)
        assert {"name": "Branch", "parent": "Head office"} in await rows(database, PARENTS)

    async def test_keeps_its_parent_when_a_change_does_not_name_it(self, database: Database) -> None:
        """What a document does not know is not touched, and an empty parent is known to be none."""
        head = change("head", {"name": "Head office"}, entity_type="customer")
        await enqueue(database, head, change("branch", CHILD, entity_type="customer"))
        await drain(database)
        await enqueue(database, change("branch", {"name": "Branch 2"}, entity_type="customer"))
        await drain(database)
        assert {"name": "Branch 2", "parent": "Head office"} in await rows(database, PARENTS)
        await enqueue(database, change("branch", {"parent_source_id": None}, entity_type="customer"))
        await drain(database)
        assert {"name": "Branch 2", "parent": None} in await rows(database, PARENTS)

    async def test_is_fetched_from_the_source_once_it_is_long_awaited(
        self, database: Database, doorbell: Doorbell
    ) -> None:
        """It is asked for by id, once in ten minutes, and comes through the inbox like anything else."""
        source = FakeSource(single={"head": RawRecord(body=b"{}", entity_type="customer", source_entity_id="head")})
        source.entity_types = frozenset({EntityType.CUSTOMER})
        fetcher = ParentFetcher(database, {"zoho": source}, doorbell, "w")
        await enqueue(database, change("branch", CHILD, entity_type="customer"))
        await drain(database)
        await fetcher.step()
        assert source.fetched == []
        await execute(database, "UPDATE tds_sync_queue SET deferrals = 3")
        await fetcher.step()
        await fetcher.step()
        assert source.fetched == ["head"]
        assert await value(database, "SELECT source_entity_id FROM tds_inbox_events WHERE status = 'pending'") == "head"

    def test_is_given_up_after_its_patience(self) -> None:
        """Each wait is longer, up to five minutes; after a day a person must look."""
        rule = MissingParents(timedelta(hours=24))
        key = ("zoho", "customer", "head")
        first = rule.decide(claimed(deferrals=0, received_at=TIME), key, TIME)
        later = rule.decide(claimed(deferrals=30, received_at=TIME), key, TIME)
        end = rule.decide(claimed(received_at=TIME), key, TIME + timedelta(hours=25))
        assert isinstance(first, Defer)
        assert isinstance(later, Defer)
        assert (first.until - TIME, later.until - TIME) == (timedelta(seconds=5), timedelta(minutes=5))
        assert isinstance(end, Dead)
        assert (end.code, end.spent) == ("missing_parent", 0)


class TestPauses:
    """Laying work aside."""

    async def test_a_pause_parks_its_type_only_and_resume_wakes_it(self, database: Database) -> None:
        """Paused items leave the way of others, spend nothing, and are applied after the resume."""
        async with database.session() as session:
            await pauses.pause(session, source="zoho", entity_type="product", actor="me")
        await enqueue(database, change("p", {"name": "p"}), change("c", {"name": "c"}, entity_type="customer"))
        await drain(database)
        assert (await item(database, "c"))["status"] == "completed"
        parked = await item(database, "p")
        assert (parked["status"], parked["waits_for"], parked["attempts"]) == ("retry", "pause:zoho:product", 0)
        async with database.session() as session:
            assert await pauses.resume(session, source="zoho", entity_type="product") == 1
        await drain(database)
        assert (await item(database, "p"))["status"] == "completed"

    async def test_a_pause_of_everything_holds_beside_one_of_a_type(self, database: Database) -> None:
        """The end of one of two pauses wakes nothing."""
        async with database.session() as session:
            await pauses.pause(session, source="zoho", actor="me")
            await pauses.pause(session, source="zoho", entity_type="product", actor="me")
        await enqueue(database, change("p", {"name": "p"}))
        await drain(database)
        async with database.session() as session:
            assert await pauses.resume(session, source="zoho", entity_type="product") == 0
            with pytest.raises(pauses.NotPausedError):
                await pauses.resume(session, source="zoho", entity_type="product")
            assert await pauses.resume(session, source="zoho") == 1

    async def test_an_item_parked_after_the_resume_is_found_by_the_sweep(self, database: Database) -> None:
        """Claimed before the resume, parked after it: the wake crossed it, the sweep makes it good."""
        async with database.session() as session:
            await pauses.pause(session, source="zoho", entity_type="product", actor="me")
        await enqueue(database, change("p", {"name": "p"}))
        await drain(database)
        async with database.transaction() as session:
            await session.execute(text("DELETE FROM tds_pauses"))
            assert await pauses.sweep(session) == 1

    async def test_a_drain_works_off_what_waits_and_then_pauses(self, database: Database) -> None:
        """Only once nothing is left does it become a pause."""
        async with database.session() as session:
            await pauses.pause(session, source="zoho", entity_type="product", mode="drain", actor="me")
        await enqueue(database, change("p", {"name": "p"}))
        async with database.transaction() as session:
            assert await pauses.end_drains(session) == []
        await drain(database)
        async with database.transaction() as session:
            assert await pauses.end_drains(session) == [("zoho", "product")]
        assert await value(database, "SELECT mode FROM tds_pauses") == "pause"


class TestPoliciesByEntity:
    """Entity types that retry otherwise."""

    async def test_one_type_has_a_limit_of_its_own(self, database: Database) -> None:
        """A product dies at its first failure, and a customer is tried again."""
        settings = RetrySettings(entities={"product": RetryOverride(max_attempts=1)})
        target = FakeTarget(always={"p": RuntimeError("no"), "c": RuntimeError("no")})
        busy = worker(database)
        busy.applier = Applier(
            target.targets(), policies=RetryPolicy.by_entity(settings), policy=RetryPolicy.of(settings)
        )
        await enqueue(database, change("p", {"name": "p"}), change("c", {"name": "c"}, entity_type="customer"))
        await busy.process_batch()
        assert (await item(database, "p"))["status"] == "dead_letter"
        assert (await item(database, "c"))["status"] == "retry"

    def test_an_unknown_type_is_refused(self) -> None:
        """A mistyped name would else be silently ignored."""
        with pytest.raises(ConfigurationError, match="prodct"):
            RetryPolicy.by_entity(RetrySettings(entities={"prodct": RetryOverride(max_attempts=1)}))
        assert set(RetryPolicy.by_entity(RetrySettings(entities={"product": RetryOverride()}))) == {EntityType.PRODUCT}
