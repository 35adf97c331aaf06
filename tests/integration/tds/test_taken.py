"""What arrives while a worker lives is applied in the transaction that takes it from the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.clock import utc_now
from app.core.database import Database
from app.core.ids import lower_bound, new_id
from app.tds.core import pauses
from app.tds.core.enqueueing import Hold
from app.tds.core.outcomes import Done
from app.tds.core.ports import Assignment
from app.tds.types import Outcome
from tests.support.pipeline import (
    NOW,
    FakeTarget,
    body,
    change,
    drain,
    enqueue,
    eventually,
    execute,
    item_of,
    rows,
    snapshot,
    statements,
    store,
    value,
    worker,
)
from tests.support.taking import SOURCES, begun, ends, somebody_waits

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

QUEUE = "SELECT source_entity_id, status, outcome, attempts, lease_losses FROM tds_sync_queue ORDER BY source_entity_id"
RUN = """
    INSERT INTO tds_sync_runs
        (id, run_type, source, entity_type, managed, status, scan_completed, total_events)
    VALUES ('{id}', 'zoho', 'zoho', 'product', true, 'processing', true, {total})
"""
"""A run whose pages have all been read."""
LEDGER = "SELECT source_entity_id, local_id, version_time, deleted, last_applied_at FROM tds_entities"


async def test_one_transaction_brings_it_to_the_row(database: Database) -> None:
    """One version of its queue row, which never had a lease; audit, event, ledger and inbox say the same."""
    busy = await begun(database)
    await store(database, body("1", {"name": "Cable"}, 0))
    assert ends((await busy.process_batch()).ends) == {"1": "created"}
    assert await value(database, "SELECT ctid::text FROM tds_sync_queue") == "(0,1)"
    queue = await rows(
        database, "SELECT status, outcome, locked_by, lease_token, target_entity_id, completed_at FROM tds_sync_queue"
    )
    (product,) = await rows(database, "SELECT id::text AS id, name FROM erp_products")
    assert product["name"] == "Cable"
    assert [(row["status"], row["outcome"], row["locked_by"], row["target_entity_id"]) for row in queue] == [
        ("completed", "created", None, product["id"])
    ]
    assert queue[0]["completed_at"] is not None
    assert await value(database, "SELECT local_id FROM tds_entities") == product["id"]
    assert await value(database, "SELECT last_applied_at IS NOT NULL FROM tds_entities")
    inbox = await rows(database, "SELECT status, entity_type, source_entity_id, operation FROM tds_inbox_events")
    assert inbox == [{"status": "completed", "entity_type": "product", "source_entity_id": "1", "operation": "upsert"}]
    assert await rows(database, "SELECT entity_id, operation FROM tds_audit_trail") == [
        {"entity_id": product["id"], "operation": "create"}
    ]
    assert await value(database, "SELECT count(*) FROM event_log") == 1


async def test_many_changes_of_one_entity_are_folded(database: Database) -> None:
    """The newest wins, the ledger has its time, and the others are queued as superseded."""
    busy = await begun(database)
    for name, minutes in (("Old", 1), ("Newest", 9), ("Newer", 5)):
        await store(database, body("1", {"name": name}, minutes))
    report = await busy.process_batch()
    assert [end.outcome for _, end in report.ends if isinstance(end, Done)] == [
        Outcome.SUPERSEDED,
        Outcome.CREATED,
        Outcome.SUPERSEDED,
    ]
    assert await value(database, "SELECT name FROM erp_products") == "Newest"
    assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 1
    assert await value(database, "SELECT count(*) FROM tds_sync_queue WHERE status = 'completed'") == 3
    await store(database, body("1", {"name": "Late"}, 7))
    assert ends((await busy.process_batch()).ends) == {"1": "superseded"}
    assert await value(database, "SELECT name FROM erp_products") == "Newest"


async def test_known_and_new_entities_in_one_batch(database: Database) -> None:
    """Each with the local row that is its own."""
    busy = await begun(database)
    await store(database, body("a", {"name": "A"}, 0))
    await busy.process_batch()
    for identifier, name in (("b", "B"), ("a", "A2"), ("c", "C")):
        await store(database, body(identifier, {"name": name}, 1))
    await store(database, body("d", None, 1))
    report = await busy.process_batch()
    assert ends(report.ends) == {"b": "created", "a": "updated", "c": "created", "d": "unchanged"}
    found = await rows(
        database,
        "SELECT source_entity_id AS id, name FROM tds_entities"
        " LEFT JOIN erp_products ON erp_products.id::text = local_id ORDER BY 1",
    )
    assert found == [
        {"id": "a", "name": "A2"},
        {"id": "b", "name": "B"},
        {"id": "c", "name": "C"},
        {"id": "d", "name": None},
    ]


async def test_what_cannot_be_mapped_lies_beside_what_was_applied(database: Database) -> None:
    """In the same transaction."""
    busy = await begun(database)
    await store(database, body("1", {"name": "Cable"}))
    await store(database, b"no json")
    report = await busy.process_batch()
    assert (ends(report.ends), report.refused) == ({"1": "created"}, 1)
    assert await value(database, "SELECT count(*) FROM tds_dead_letter_queue") == 1


async def test_what_breaks_a_rule_leaves_no_trace_in_the_ledger(database: Database) -> None:
    """It is a dead letter; the ledger row that foresaw it is blank again, so that the same version can come anew."""
    target = FakeTarget(rejecting={"bad"})
    busy = await begun(database, target)
    for identifier in ("bad", "good"):
        await store(database, body(identifier, {"name": "Cable"}, 3))
    assert ends((await busy.process_batch()).ends) == {"bad": "Dead", "good": "created"}
    blank = {"local_id": None, "version_time": None, "deleted": False, "last_applied_at": None}
    assert await rows(database, f"{LEDGER} WHERE source_entity_id = 'bad'") == [{"source_entity_id": "bad", **blank}]
    assert [row["status"] for row in await rows(database, QUEUE)] == ["dead_letter", "completed"]
    assert await value(database, "SELECT count(*) FROM tds_inbox_events WHERE status = 'dead_letter'") == 1
    target.rejecting.clear()
    await store(database, body("bad", {"name": "Cable, mended"}, 3))
    assert ends((await busy.process_batch()).ends) == {"bad": "created"}


async def test_runs_are_counted_at_once(database: Database) -> None:
    """What was applied and what was refused: workers with events of the same runs cannot wait for each other."""
    busy, (first, second) = await begun(database), sorted((new_id(), new_id()))
    await execute(database, RUN.format(id=first, total=1), RUN.format(id=second, total=2))
    for event, run_id in ((b"no json", first), (body("1", {"name": "Cable"}), second), (b"nor is this", second)):
        stored = (await store(database, event)).event_id
        await execute(database, f"UPDATE tds_inbox_events SET run_id = '{run_id}' WHERE id = '{stored}'")
    with statements(database) as sent:
        report = await busy.process_batch()
    assert (ends(report.ends), report.refused) == ({"1": "created"}, 2)
    assert len([one for one in sent if "successful_events = " in one]) == 1
    assert await rows(database, "SELECT status, successful_events, failed_events FROM tds_sync_runs ORDER BY id") == [
        {"status": "completed", "successful_events": 0, "failed_events": 1},
        {"status": "completed", "successful_events": 1, "failed_events": 1},
    ]
    completed = "SELECT count(*) FROM event_log WHERE event_type = 'tds.sync.completed'"
    assert await value(database, completed) == 2


async def test_a_document_that_is_none_is_a_dead_letter(database: Database) -> None:
    """Its queue row and its letter are the same as if it had waited."""
    busy = await begun(database)
    await store(database, body("1", {"name": "Cable", "price": "dear"}))
    assert ends((await busy.process_batch()).ends) == {"1": "Dead"}
    assert await value(database, "SELECT error_code FROM tds_dead_letter_queue") == "invalid_document"
    assert [row["status"] for row in await rows(database, QUEUE)] == ["dead_letter"]


async def test_what_is_paused_is_laid_aside(database: Database) -> None:
    """And costs it no attempt."""
    busy = await begun(database)
    async with database.transaction() as session:
        await pauses.pause(session, source="zoho", entity_type="product", actor="Ann")
    await store(database, body("1", {"name": "Cable"}))
    assert ends((await busy.process_batch()).ends) == {"1": "Defer"}
    assert await rows(database, "SELECT status, waits_for, attempts, locked_by FROM tds_sync_queue") == [
        {"status": "retry", "waits_for": "pause:zoho:product", "attempts": 0, "locked_by": None}
    ]


async def test_an_error_of_one_costs_the_others_nothing(database: Database) -> None:
    """The batch is taken anew under leases, where it shows whose error it is; each thing happens once."""
    target = FakeTarget(always={"bad": RuntimeError("planted")})
    busy = await begun(database, target, policy=NOW)
    for identifier in ("a", "bad", "z"):
        await store(database, body(identifier, {"name": identifier}, 1))
    report = await busy.process_batch()
    assert ends(report.ends) == {"a": "created", "bad": "Retry", "z": "created"}
    assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 2
    await store(database, body("later", {"name": "later"}, 1))
    await drain(database, target, policy=NOW, sources=SOURCES)
    assert {row["source_entity_id"]: row["status"] for row in await rows(database, QUEUE)} == {
        "a": "completed",
        "bad": "dead_letter",
        "later": "completed",
        "z": "completed",
    }


async def test_a_batch_error_leaves_everything_as_it_was(database: Database) -> None:
    """Nothing is anybody's fault, so nothing is spent; what it could not take it takes with a lease next time."""
    target = FakeTarget(sql={"1": ("SELECT pg_terminate_backend(pg_backend_pid())", {})})
    busy = await begun(database, target)
    await store(database, body("1", {"name": "Cable"}, 1))
    before = await snapshot(database)
    with pytest.raises(DBAPIError):
        await busy.process_batch()
    target.sql.clear()
    assert await snapshot(database) == before
    assert ends((await busy.process_batch()).ends) == {"1": "created"}
    assert [(row["status"], row["attempts"]) for row in await rows(database, QUEUE)] == [("completed", 0)]


async def test_two_workers_that_meet_at_a_new_entity_make_one_row(database: Database) -> None:
    """The second waits for the first to make it, and then changes it."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Sequence[Assignment]) -> None:
        inside.set()
        await go_on.wait()

    first, second = await begun(database, FakeTarget(before=wait)), await begun(database)
    await store(database, body("1", {"name": "First"}, 1))
    earlier = asyncio.create_task(first.process_batch())
    await inside.wait()
    await store(database, body("1", {"name": "Second"}, 2))
    later = asyncio.create_task(second.process_batch())

    await eventually(lambda: somebody_waits(database))
    go_on.set()
    assert ends((await earlier).ends) == {"1": "created"}
    assert ends((await later).ends) == {"1": "updated"}
    assert await rows(database, "SELECT name FROM erp_products") == [{"name": "Second"}]


async def test_a_suspicion_passes(database: Database) -> None:
    """A worker that took items one at a time takes whole batches again."""
    busy = await begun(database)
    busy._suspicion.alone = 2  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - after three bad batches
    for number in range(5):
        await store(database, body(f"p{number}", {"name": "Product"}))
    assert [len((await busy.process_batch()).ends) for _ in range(3)] == [1, 1, 3]


async def test_a_child_in_the_batch_of_its_parent(database: Database) -> None:
    """The parent is applied, and wakes it in the same transaction."""
    told = {"entity_type": "customer", "received_at": utc_now()}
    child = change("child", {"name": "Bob", "parent_source_id": "parent"}, arrival=1, **told)
    parent = change("parent", {"name": "Ann"}, arrival=2, **told)
    busy = worker(database)
    async with database.transaction() as session:
        items = [item_of(child), item_of(parent)]
        report = await busy.applier.apply_taken(session, items, hold=Hold("w1", 60), now=utc_now())
    assert ends(report.ends) == {"child": "Defer", "parent": "created"}
    await drain(database)
    found = await rows(database, "SELECT name, parent_id IS NOT NULL AS has_parent FROM erp_customers ORDER BY name")
    assert found == [{"name": "Ann", "has_parent": False}, {"name": "Bob", "has_parent": True}]


async def test_a_child_waits_for_its_parent(database: Database) -> None:
    """And is woken by it, when that comes in later."""
    parent = change("parent", {"name": "Ann"}, entity_type="customer", arrival=2, received_at=utc_now())
    child = change(
        "child", {"name": "Bob", "parent_source_id": "parent"}, entity_type="customer", arrival=1, received_at=utc_now()
    )
    busy = worker(database)
    for entry, expected in ((child, "Defer"), (parent, "created")):
        async with database.transaction() as session:
            now = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
            report = await busy.applier.apply_taken(session, [item_of(entry)], hold=Hold("w1", 60), now=now)
        assert list(ends(report.ends).values()) == [expected]
    await drain(database)
    found = await rows(database, "SELECT name, parent_id IS NOT NULL AS has_parent FROM erp_customers ORDER BY name")
    assert found == [{"name": "Ann", "has_parent": False}, {"name": "Bob", "has_parent": True}]


async def test_what_was_stored_late_is_not_passed_over(database: Database) -> None:
    """Its id is older than what was taken last: a slow commit, or another machine's clock."""
    busy = await begun(database)
    await store(database, body("1", {"name": "One"}))
    await busy.process_batch()
    await store(database, body("2", {"name": "Two"}))
    await store(database, body("3", {"name": "Three"}))
    old = lower_bound(utc_now() - timedelta(hours=1))
    await execute(database, f"UPDATE tds_inbox_events SET id = '{old}' WHERE convert_from(body, 'UTF8') LIKE '%Two%'")

    async def found() -> bool:
        await busy.process_batch()
        return await value(database, "SELECT count(*) FROM erp_products") == 3

    await eventually(found)


async def test_queued_work_comes_before_it(database: Database) -> None:
    """Retries, priorities and what waited longer."""
    busy = await begun(database)
    await enqueue(database, change("queued", {"name": "Q"}))
    await store(database, body("new", {"name": "N"}))
    assert ends((await busy.process_batch()).ends) == {"queued": "created"}
    assert ends((await busy.process_batch()).ends) == {"new": "created"}


async def test_a_batch_of_a_thousand_takes_no_more_statements_than_one_of_ten(database: Database) -> None:
    """From the inbox to the end, in one transaction."""
    busy = await begun(database)
    counts: list[int] = []
    for size, first in ((10, 0), (1_000, 10)):
        for number in range(first, first + size):
            await store(database, body(f"p{number}", {"name": f"Product {number}"}))
        await execute(database, "SELECT 1")
        with statements(database) as sent:
            assert len((await busy.process_batch(size)).ends) == size
        counts.append(len(sent))
    assert counts[1] <= counts[0]
