"""The loops of a worker process, all together."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import event

from app.core.config import DatabaseSettings, QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.tds.core import runs
from app.tds.sql import statement
from app.tds.types import RunMode
from app.tds.workers.loop import Loop
from app.tds.workers.pool import WorkerPool
from tests.support.pipeline import (
    NOW,
    QUICK,
    FakeSource,
    FakeTarget,
    applier,
    body,
    change,
    enqueue,
    eventually,
    execute,
    records,
    rows,
    statements,
    store,
    value,
)
from tests.support.postgres import TestServer

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
RESCUE = statement("rescue").text.partition("\n")[0]
ARRIVED = "SELECT count(*) FROM tds_inbox_events"
OPEN = "SELECT count(*) FROM tds_sync_queue WHERE completed_at IS NULL"


def pool_of(database: Database, source: FakeSource, target: FakeTarget | None = None, count: int = 3) -> WorkerPool:
    """A pool whose loops look often."""
    return WorkerPool(database, sources={"zoho": source}, applier=applier(target, NOW), settings=QUICK, count=count)


@asynccontextmanager
async def running(pool: WorkerPool) -> AsyncGenerator[asyncio.Task[None]]:
    """The pool at work; stopped at the end, and it must end by itself."""
    task = asyncio.create_task(pool.run())
    try:
        yield task
    finally:
        pool.stop()
        try:
            async with asyncio.timeout(3):
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def watcher(database_url: str) -> AsyncGenerator[Database]:
    """Connections of the test's own."""
    database = Database(database_url, DatabaseSettings(pool_size=2))
    yield database
    await database.dispose()


async def completed(database: Database, amount: int) -> bool:
    """Whether so many products are here and nothing is left to do."""
    return await value(database, "SELECT count(*) FROM erp_products") == amount and not await value(database, OPEN)


async def _count(sent: list[str], amount: int, *, of: str) -> None:
    """Wait until so many statements with this text were sent."""
    while sum(of in one for one in sent) < amount:  # noqa: ASYNC110 - the engine's hook is synchronous
        await asyncio.sleep(0.02)


def _moved(database: Database, before: int) -> Callable[[], Awaitable[bool]]:
    """Whether the reader has stored something since, or rests."""

    async def moved() -> bool:
        resting = await value(database, "SELECT count(*) FROM tds_sync_runs WHERE scan_completed OR locked_by IS NULL")
        return bool(resting or await value(database, ARRIVED) > before)

    return moved


async def done_without_rest(database: Database, amount: int) -> bool:
    """Whether all is here; a run that rests is told to go on at once."""
    await execute(database, "UPDATE tds_sync_runs SET next_attempt_at = NULL WHERE next_attempt_at IS NOT NULL")
    return await completed(database, amount)


async def ask(database: Database) -> Any:
    """Ask for a full run."""
    async with database.session() as session:
        return await runs.request_run(session, source="zoho", entity_type="product", mode=RunMode.FULL, started_by=None)


class TestWorkerPool:
    """All loops of one process."""

    async def test_carries_a_run_from_the_source_to_the_rows(self, database: Database, watcher: Database) -> None:
        """Five hundred records, read, validated, applied and counted."""
        async with running(pool_of(database, FakeSource(records(500)))):
            await ask(database)
            await eventually(lambda: completed(watcher, 500))
            (run,) = await rows(watcher, "SELECT * FROM tds_sync_runs")
        assert (run["status"], run["successful_events"], run["failed_events"]) == ("completed", 500, 0)
        workers = await rows(watcher, "SELECT state, processed FROM tds_workers")
        assert {one["state"] for one in workers} == {"stopped"}
        assert sum(one["processed"] for one in workers) == 500

    async def test_stops_promptly_with_the_batch_in_hand_finished(self, database: Database, watcher: Database) -> None:
        """What has begun is committed, what has not stays queued, and nobody holds a lease."""
        inside, go = asyncio.Event(), asyncio.Event()

        async def hold(assignments: Sequence[object]) -> None:
            del assignments
            inside.set()
            await go.wait()

        await enqueue(watcher, *(change(f"{n}", {"name": "a"}) for n in range(250)))
        pool = pool_of(database, FakeSource(), FakeTarget(before=hold), count=1)
        async with running(pool):
            await inside.wait()
            pool.stop()
            go.set()
        assert await value(watcher, "SELECT count(*) FROM erp_products") == 100
        states = await rows(watcher, "SELECT status, count(*) AS n FROM tds_sync_queue GROUP BY 1 ORDER BY 1")
        assert states == [{"status": "completed", "n": 100}, {"status": "pending", "n": 150}]

    async def test_stops_promptly_while_a_source_does_not_answer(self, database: Database, watcher: Database) -> None:
        """P7: the run stays open, for another process to go on with."""
        source = FakeSource(records(500), gate=asyncio.Event())
        async with running(pool_of(database, source)):
            await ask(watcher)
            await source.asked.wait()
        (run,) = await rows(watcher, "SELECT status, scan_completed FROM tds_sync_runs")
        assert run == {"status": "processing", "scan_completed": False}

    async def test_stops_between_two_pages_of_a_long_run(self, database: Database, watcher: Database) -> None:
        """A full run may take hours: whoever stops a process does not wait for its end."""
        source = FakeSource(records(2_000), page_size=10)
        pool = pool_of(database, source)

        async def stop_soon() -> bool:
            return len(source.served) >= 3

        async with running(pool):
            await ask(watcher)
            await eventually(stop_soon)
            pool.stop()
        assert len(source.served) < 200

    async def test_tells_what_its_workers_do(self, database: Database, watcher: Database) -> None:
        """Busy with a batch, draining while it ends, stopped with what was done."""
        inside, go = asyncio.Event(), asyncio.Event()

        async def hold(assignments: Sequence[object]) -> None:
            del assignments
            inside.set()
            await go.wait()

        await enqueue(watcher, *(change(f"{n}", {"name": "a"}) for n in range(30)))
        pool = pool_of(database, FakeSource(), FakeTarget(before=hold, rejecting={"7"}), count=1)
        seen = "SELECT state, batch_size, batch_started_at IS NOT NULL AS began, processed, failed FROM tds_workers"

        async def draining() -> bool:
            return (await rows(watcher, seen))[0]["state"] == "draining"

        async with running(pool):
            await inside.wait()
            await pool.beat()
            (busy,) = await rows(watcher, seen)
            pool.stop()
            await eventually(draining)
            go.set()
        assert busy == {"state": "busy", "batch_size": 30, "began": True, "processed": 0, "failed": 0}
        (stopped,) = await rows(watcher, seen)
        assert stopped == {"state": "stopped", "batch_size": 0, "began": False, "processed": 30, "failed": 1}

    async def test_needs_no_more_than_one_pooled_connection(self, database_url: str, watcher: Database) -> None:
        """Listening takes none of the pool."""
        narrow = Database(database_url, DatabaseSettings(pool_size=1, pool_timeout=5))
        pool = pool_of(narrow, FakeSource(records(150)))

        async def listening() -> bool:
            return pool.doorbell.listening

        async with running(pool):
            await eventually(listening)
            await ask(watcher)
            await eventually(lambda: completed(watcher, 150))
        await narrow.dispose()

    async def test_asks_little_while_there_is_nothing_to_do(self, database: Database) -> None:
        """Less than a statement a second with the intervals of every day, here all ten times as short.

        Counted beside the sweeps for ended leases, which are sent twice in a lease whatever else there is to do: both
        slow down with the machine.
        """
        quick = QueueSettings(poll_seconds=0.2, lease_seconds=1)
        pool = WorkerPool(database, sources={"zoho": FakeSource()}, applier=applier(), settings=quick, count=2)

        async def listening() -> bool:
            return pool.doorbell.listening

        async with running(pool):
            await eventually(listening)
            with statements(database) as sent:
                await asyncio.wait_for(_count(sent, 6, of=RESCUE), 30)  # the pauses grow
                before = len(sent)
                await asyncio.wait_for(_count(sent, 22, of=RESCUE), 60)
        assert len(sent) - before < 80  # 16 sweeps in 8 s

    async def test_ends_without_a_database(
        self, database: Database, watcher: Database, database_server: TestServer
    ) -> None:
        """P7: its last word cannot be written, and it stops all the same."""
        name = await value(watcher, "SELECT current_database()")
        admin = Database(database_server.url("postgres"), DatabaseSettings(pool_size=1))
        async with running(pool_of(database, FakeSource())) as task:
            await execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await execute(admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await admin.dispose()
        assert task.exception() is None

    async def test_wakes_at_once_for_what_it_has_itself_queued(self, database: Database, watcher: Database) -> None:
        """A webhook does not wait for the next look: the doorbell rings."""
        slow = QUICK.model_copy(update={"poll_seconds": 30.0})
        pool = WorkerPool(database, sources={"zoho": FakeSource()}, applier=applier(), settings=slow, count=1)
        async with running(pool):
            await store(watcher, body("1", {"name": "a"}))
            pool.doorbell.ring("inbox")
            await eventually(lambda: completed(watcher, 1), 5)

    async def test_survives_that_all_its_connections_are_cut(self, database: Database, watcher: Database) -> None:
        """P7: again and again, while a run is read and applied; everything completes, once."""
        source = FakeSource(records(400), page_size=20)
        async with running(pool_of(database, source)):
            await ask(watcher)
            for _ in range(4):
                await eventually(_moved(watcher, await value(watcher, ARRIVED)))
                await execute(watcher, CUT)
            await eventually(lambda: done_without_rest(watcher, 400))
        (run,) = await rows(watcher, "SELECT status, failed_events, total_events FROM tds_sync_runs")
        assert run == {"status": "completed", "failed_events": 0, "total_events": 400}
        assert await value(watcher, "SELECT count(*) FROM tds_audit_trail") == 400
        assert await value(watcher, "SELECT count(*) FROM tds_dead_letter_queue") == 0

    async def test_survives_that_nobody_may_connect_for_a_while(
        self, database: Database, watcher: Database, database_server: TestServer
    ) -> None:
        """P7: as while a server restarts. No loop ends, and work goes on by itself afterwards."""
        name = await value(watcher, "SELECT current_database()")
        admin = Database(database_server.url("postgres"), DatabaseSettings(pool_size=1))
        async with running(pool_of(database, FakeSource())) as task:
            await enqueue(watcher, *(change(f"{n}", {"name": "a"}) for n in range(50)))
            await execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await execute(admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            tries = 0

            def count(*_: object) -> None:
                nonlocal tries
                tries += 1

            async def tried() -> bool:
                return tries >= 15 or task.done()

            event.listen(database.engine.sync_engine, "do_connect", count)
            await eventually(tried)
            await execute(admin, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await admin.dispose()
            await enqueue(watcher, *(change(f"{n}", {"name": "a"}) for n in range(50, 100)))
            await eventually(lambda: completed(watcher, 100))
            assert not task.done()


class TestDoorbell:
    """What another process rings."""

    async def test_is_heard_again_after_the_listening_connection_was_lost(
        self, database: Database, doorbell: Doorbell
    ) -> None:
        """Cut between its opening and its LISTEN, where the driver's own errors come up: it listens anew."""
        opened: list[object] = []

        def cut_the_first(connection: Any, *_: object) -> None:
            opened.append(connection)
            if len(opened) == 1:
                connection.driver_connection.terminate()

        event.listen(database.unpooled.sync_engine, "checkout", cut_the_first)
        listening = asyncio.create_task(doorbell.listen())

        async def again() -> bool:
            return len(opened) > 1 or listening.done()

        await eventually(again)
        ended = listening.done()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert not ended


class TestLoop:
    """Work while there is work, else wait."""

    async def test_goes_on_after_an_error(self) -> None:
        """Whatever a step raises, the next one comes, and success forgets the failures."""
        stop = asyncio.Event()
        calls: list[int] = []

        async def step() -> bool:
            calls.append(loop.failures)
            if len(calls) < 3:
                raise RuntimeError("no")
            stop.set()
            return False

        loop = Loop("test", step, stop, 30)
        await asyncio.wait_for(loop.run(), 10)
        assert calls == [0, 1, 2]
        assert loop.failures == 0

    async def test_looks_ever_less_often_while_bells_are_heard(self) -> None:
        """Five times as seldom in the end; after work it begins anew."""
        stop, clock = asyncio.Event(), asyncio.get_running_loop()
        times: list[float] = []

        async def step() -> bool:
            times.append(clock.time())
            if len(times) == 9:
                stop.set()
            return len(times) == 6

        await asyncio.wait_for(Loop("test", step, stop, 0.1, hearing=lambda: True).run(), 10)
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert 0.45 < pauses[4] < 1
        assert pauses[5] < 0.1
        assert 0.09 < pauses[6] < pauses[7]

    async def test_hears_a_bell_that_rings_during_a_step(self) -> None:
        """What was queued after the step looked is not left until the next look."""
        stop, bell = asyncio.Event(), asyncio.Event()
        calls: list[None] = []

        async def step() -> bool:
            calls.append(None)
            (bell if len(calls) == 1 else stop).set()
            return False

        await asyncio.wait_for(Loop("test", step, stop, 30, bell).run(), 5)
        assert len(calls) == 2
