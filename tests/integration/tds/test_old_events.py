"""What may have been somebody's end goes by lease, also straight from the inbox."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.tds.core.ports import Assignment
from app.tds.workers.worker import SyncWorker
from tests.support.pipeline import (
    NOW,
    FakeTarget,
    applier,
    body,
    drain,
    execute,
    rows,
    store,
    value,
    worker,
)
from tests.support.taking import SOURCES, begun, ends

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]


async def test_what_a_worker_finds_at_its_first_look_goes_by_lease(database: Database) -> None:
    """Somebody may have died with it: should this worker die too, its lease tells."""
    await store(database, body("1", {"name": "Cable"}))
    seen: list[tuple[str, str | None]] = []

    async def look(_: Sequence[Assignment]) -> None:
        found = await rows(database, "SELECT status, locked_by FROM tds_sync_queue")
        seen.extend((row["status"], row["locked_by"]) for row in found)

    busy = worker(database, FakeTarget(before=look), sources=SOURCES, name="w1")
    assert ends((await busy.process_batch()).ends) == {"1": "created"}
    assert seen == [("processing", "w1")]


async def test_one_that_dies_with_it_leaves_the_event_in_the_inbox(database: Database) -> None:
    """The next worker finds it older than itself, and so takes a lease on it."""
    dying, inside = await stuck(database)
    await store(database, body("1", {"name": "Cable"}, 1))
    await killed(asyncio.create_task(dying.process_batch()), inside)
    assert await value(database, "SELECT status FROM tds_inbox_events") == "pending"
    assert await value(database, "SELECT count(*) FROM tds_sync_queue") == 0
    leases: list[int] = []
    next_one = worker(database, FakeTarget(before=counting(database, leases)), sources=SOURCES)
    assert ends((await next_one.process_batch()).ends) == {"1": "created"}
    assert leases == [1]


async def test_what_another_had_and_did_not_end_goes_by_lease(database: Database) -> None:
    """Both lived when it arrived: this one knows that it went past it."""
    dying, inside = await stuck(database)
    leases: list[int] = []
    other = await begun(database, FakeTarget(before=counting(database, leases)))
    await store(database, body("1", {"name": "One"}, 1))
    task = asyncio.create_task(dying.process_batch())
    await inside.wait()
    await store(database, body("2", {"name": "Two"}, 1))
    assert ends((await other.process_batch()).ends) == {"2": "created"}
    await killed(task, inside)
    await execute(database, "UPDATE tds_inbox_events SET created_at = created_at - interval '1 minute'")
    other._looks.forget()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - so that the next look is at all
    assert ends((await other.process_batch()).ends) == {"1": "created"}
    assert leases == [0, 1]


async def stuck(database: Database) -> tuple[SyncWorker, asyncio.Event]:
    """A worker that never comes out of its target, and what tells that it is inside."""
    inside = asyncio.Event()

    async def hang(_: Sequence[Assignment]) -> None:
        inside.set()
        await asyncio.Event().wait()

    return await begun(database, FakeTarget(before=hang)), inside


async def killed(task: asyncio.Task[Any], inside: asyncio.Event) -> None:
    """A worker's end, once it is inside."""
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def counting(database: Database, leases: list[int]) -> Callable[[Sequence[Assignment]], Awaitable[None]]:
    """What notes how many queue rows are under a lease while a target is asked."""

    async def look(_: Sequence[Assignment]) -> None:
        leases.append(await value(database, "SELECT count(*) FROM tds_sync_queue WHERE locked_by IS NOT NULL"))

    return look


async def test_a_database_that_was_away_makes_nothing_new(database: Database) -> None:
    """What was there before is older than the worker, also where its first look failed."""
    await store(database, body("1", {"name": "Cable"}, 1))
    away = Database("postgresql://postgres@127.0.0.1:1/none", DatabaseSettings())
    leases: list[int] = []
    busy = worker(away, FakeTarget(before=counting(database, leases)), sources=SOURCES)
    with pytest.raises(OSError, match="Connect call failed"):
        await busy.process_batch()
    busy._database = database  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it has come back
    assert ends((await busy.process_batch()).ends) == {"1": "created"}
    assert leases == [1]


async def test_in_a_callers_transaction_it_goes_by_lease(database: Database) -> None:
    """That cannot be rolled back for one event's error."""
    target = FakeTarget(failing={"1": deque([RuntimeError("planted")])})
    async with database.transaction() as session:
        busy = SyncWorker(session, applier=applier(target, NOW), sources=SOURCES)
        assert (await busy.process_batch()).ends == ()
    await store(database, body("1", {"name": "Cable"}, 1))
    async with database.transaction() as session:
        busy.db = session
        assert ends((await busy.process_batch()).ends) == {"1": "Retry"}
    assert await value(database, "SELECT count(*) FROM erp_products") == 0
    await drain(database, policy=NOW)
    assert await value(database, "SELECT name FROM erp_products") == "Cable"
