"""A worker with nothing to claim takes events in itself: mapped and claimed in one transaction, applied in the next."""

from __future__ import annotations

import pytest

from app.core.database import Database
from app.tds.core import claims, pauses
from app.tds.core.enqueueing import Hold
from app.tds.core.validation import validate_batch
from tests.support.pipeline import (
    FakeSource,
    body,
    change,
    enqueue,
    execute,
    expire_leases,
    rows,
    statements,
    store,
    value,
    worker,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

STATES = "SELECT source_entity_id, status, lease_token, lease_losses FROM tds_sync_queue ORDER BY source_entity_id"
SOURCES = {"zoho": FakeSource()}


async def test_goes_from_the_inbox_to_the_row(database: Database) -> None:
    """With audit, event and both rows ended; the item was never seen waiting."""
    await store(database, body("1", {"name": "Cable"}))
    report = await worker(database, sources=SOURCES).process_batch()
    assert [item.lease_token for item, _ in report.ends] == [1]
    assert await rows(database, STATES) == [
        {"source_entity_id": "1", "status": "completed", "lease_token": 1, "lease_losses": 0}
    ]
    assert await value(database, "SELECT status FROM tds_inbox_events") == "completed"
    assert await value(database, "SELECT name FROM erp_products") == "Cable"
    assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 1
    assert await value(database, "SELECT count(*) FROM event_log") == 1


async def test_what_waits_in_the_queue_comes_first(database: Database) -> None:
    """It has priorities, and retries among it."""
    await enqueue(database, change("old", {"name": "Old"}))
    await store(database, body("new", {"name": "New"}))
    busy = worker(database, sources=SOURCES)
    first = await busy.process_batch()
    assert ([item.source_entity_id for item, _ in first.ends], busy.backlogged) == (["old"], True)
    second = await busy.process_batch()
    assert ([item.source_entity_id for item, _ in second.ends], busy.backlogged) == (["new"], False)


async def test_one_that_dies_with_it_leaves_a_lease_that_ends(database: Database) -> None:
    """Another worker takes it up, and it is known that somebody died with it."""
    await store(database, body("1", {"name": "Cable"}))
    async with database.transaction() as session:
        report = await validate_batch(session, SOURCES, limit=10, hold=Hold("dead", 60))
    assert len(report.held) == 1
    other = worker(database, sources=SOURCES)
    assert (await other.process_batch()).ends == ()
    await expire_leases(database)
    async with database.transaction() as session:
        await claims.rescue(session, quarantine_after=3)
    assert len((await other.process_batch()).ends) == 1
    assert await rows(database, STATES) == [
        {"source_entity_id": "1", "status": "completed", "lease_token": 2, "lease_losses": 1}
    ]


async def test_what_cannot_be_mapped_is_told_of(database: Database) -> None:
    """The report counts it, so that the loop looks again at once."""
    await store(database, b"no json")
    report = await worker(database, sources=SOURCES).process_batch()
    assert (report.ends, report.refused) == ((), 1)
    assert await value(database, "SELECT count(*) FROM tds_dead_letter_queue") == 1


@pytest.mark.parametrize("entity_type", ["product", pauses.EVERYTHING])
async def test_what_is_paused_is_laid_aside(database: Database, entity_type: str) -> None:
    """As if it had been claimed from the queue."""
    async with database.transaction() as session:
        await pauses.pause(session, source="zoho", entity_type=entity_type, actor="Ann")
    await store(database, body("1", {"name": "Cable"}))
    await worker(database, sources=SOURCES).process_batch()
    assert await rows(database, "SELECT status, waits_for, attempts FROM tds_sync_queue") == [
        {"status": "retry", "waits_for": "pause:zoho:product", "attempts": 0}
    ]


async def test_a_batch_of_a_thousand_takes_no_more_statements_than_one_of_ten(database: Database) -> None:
    """From the inbox to the end."""
    counts: list[int] = []
    for size, first in ((10, 0), (1_000, 10)):
        events = [body(f"p{number}", {"name": f"Product {number}"}) for number in range(first, first + size)]
        for event in events:
            await store(database, event)
        await execute(database, "SELECT 1")
        busy = worker(database, sources=SOURCES)
        with statements(database) as sent:
            assert len((await busy.process_batch(size)).ends) == size
        counts.append(len(sent))
    assert counts[1] <= counts[0]
