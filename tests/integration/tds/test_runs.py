"""Runs: read page by page, counted, resumed where they stopped."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import Any

import pytest

from app.core.config import QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.errors import ConflictError
from app.tds.core import runs
from app.tds.core.errors import LeaseLostError, SourceAuthError, SourceThrottledError, SourceUnavailableError
from app.tds.core.ports import Page, RawRecord
from app.tds.core.queue import TDSQueueService
from app.tds.core.runs import ClaimedRun
from app.tds.types import RunMode
from app.tds.workers.runner import Runner
from tests.support.pipeline import (
    TIME,
    FakeSource,
    FakeTarget,
    body,
    drain,
    eventually,
    execute,
    records,
    rows,
    validate,
    value,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]
PAGE = Page(records=records(3), checkpoint={"next": 1}, watermark=TIME, last=False)
LAST = Page(records=records(2, first=3), checkpoint={"next": 2}, watermark=TIME + timedelta(minutes=9), last=True)


async def ask(database: Database, mode: RunMode = RunMode.FULL) -> Any:
    """Ask for a run of the products; its id."""
    async with database.session() as session:
        run = await runs.request_run(session, source="zoho", entity_type="product", mode=mode, started_by="ann")
    return run.id


async def take(database: Database, name: str = "first", lease: float = 60) -> ClaimedRun | None:
    """Claim the next run."""
    async with database.transaction() as session:
        return await runs.claim_run(session, worker=name, lease=lease)


async def put(database: Database, run: ClaimedRun, *pages: Page) -> None:
    """Store pages."""
    for page in pages:
        async with database.transaction() as session:
            await runs.store_page(session, run, page, lease=60)


async def read(database: Database, source: FakeSource, name: str = "runner") -> bool:
    """One step of a runner."""
    bell = Doorbell(database)
    try:
        return await Runner(database, {"zoho": source}, bell, QueueSettings(run_lease_seconds=5), name).step()
    finally:
        await bell.close()


async def the_run(database: Database) -> dict[str, Any]:
    """The one run."""
    (found,) = await rows(database, "SELECT * FROM tds_sync_runs")
    return found


async def events(database: Database) -> list[str]:
    """Types of the run's events, in order."""
    found = await rows(database, "SELECT event_type FROM event_log WHERE aggregate_type = 'sync_run' ORDER BY position")
    return [one["event_type"] for one in found]


async def due_now(database: Database) -> None:
    """As if the rest between two attempts were over."""
    await execute(database, "UPDATE tds_sync_runs SET next_attempt_at = NULL")


class TestRequestRun:
    """One at a time for each entity of a source."""

    async def test_refuses_a_second_while_one_is_open(self, database: Database) -> None:
        """And names the open one."""
        run_id = await ask(database)
        with pytest.raises(runs.RunAlreadyOpenError) as caught:
            await ask(database)
        assert caught.value.run_id == run_id

    async def test_lets_one_of_many_at_once_through(self, database: Database) -> None:
        """However they cross."""
        asked = await asyncio.gather(*(ask(database) for _ in range(5)), return_exceptions=True)
        assert sum(isinstance(one, runs.RunAlreadyOpenError) for one in asked) == 4

    async def test_begins_where_the_cursor_stands(self, database: Database) -> None:
        """An incremental run reads from the newest time of the last one; a full one from the beginning."""
        await ask(database)
        await read(database, FakeSource(records(5)))
        await validate(database)
        await drain(database)
        await ask(database, RunMode.INCREMENTAL)
        source = FakeSource(records(1))
        await read(database, source)
        assert source.since == [TIME + timedelta(minutes=4)]


class TestLifeOfARun:
    """Claimed, read, settled."""

    async def test_reads_applies_and_adds_up(self, database: Database) -> None:
        """Every record is counted once, as what became of it."""
        data = [*records(250), RawRecord(body=b"nonsense"), RawRecord(body=body("p0", {"name": "old"}, -5))]
        await ask(database)
        assert await read(database, FakeSource(data))
        while (await validate(database, limit=90)).taken:
            await drain(database, FakeTarget(rejecting={"p7"}))
        found = await the_run(database)
        counted = {name: found[f"{name}_events"] for name in ("total", "processed", "successful", "failed", "skipped")}
        assert counted == {"total": 252, "processed": 252, "successful": 249, "failed": 2, "skipped": 1}
        assert (found["status"], found["pages"], found["locked_by"]) == ("completed", 3, None)
        assert await events(database) == ["tds.sync.started", "tds.sync.completed"]
        (done,) = await rows(database, "SELECT data FROM event_log WHERE event_type = 'tds.sync.completed'")
        assert (done["data"]["total_processed"], done["data"]["failed"]) == (252, 2)

    async def test_of_nothing_is_complete_at_once(self, database: Database) -> None:
        """A source without records is no reason to wait."""
        await ask(database)
        await read(database, FakeSource())
        assert (await the_run(database))["status"] == "completed"

    async def test_moves_the_cursor_only_with_the_last_page(self, database: Database) -> None:
        """What was not read is not passed over."""
        await ask(database)
        run = await take(database)
        assert run
        await put(database, run, PAGE)
        assert await rows(database, "SELECT * FROM tds_sync_cursors") == []
        await put(database, run, LAST)
        assert await value(database, "SELECT watermark FROM tds_sync_cursors") == LAST.watermark

    async def test_never_moves_the_cursor_back(self, database: Database) -> None:
        """A full run that saw older times only leaves it."""
        for page in (LAST, Page(records=[], checkpoint={}, watermark=TIME, last=True)):
            await ask(database)
            run = await take(database)
            assert run
            await put(database, run, page)
            await validate(database)
            await drain(database)
        assert await value(database, "SELECT watermark FROM tds_sync_cursors") == LAST.watermark

    async def test_settles_when_its_last_item_is_ended_by_hand(self, database: Database) -> None:
        """A run must not hang in "processing": whoever ends an item, it is counted."""
        await ask(database)
        await read(database, FakeSource(records(1)))
        await validate(database)
        queue_id = await value(database, "SELECT id FROM tds_sync_queue")
        async with database.session() as session:
            await TDSQueueService(session).mark_as_completed(queue_id)
        assert (await the_run(database))["status"] == "completed"


class TestResumption:
    """Killed between two pages, or cut off."""

    async def test_goes_on_at_the_next_page_with_a_new_reader(self, database: Database) -> None:
        """No page is read twice, no record is lost, and it starts once."""
        await ask(database)
        source = FakeSource(records(250), failures=deque([None, asyncio.CancelledError()]))
        with pytest.raises(asyncio.CancelledError):
            await read(database, source)
        assert not await read(database, source, "second")
        await execute(database, "UPDATE tds_sync_runs SET lock_expires_at = now() - interval '1 second'")
        assert await read(database, source, "second")
        assert source.served == [0, 1, 2]
        while (await validate(database)).taken:
            await drain(database)
        found = await the_run(database)
        assert (found["status"], found["total_events"], found["successful_events"]) == ("completed", 250, 250)
        assert await events(database) == ["tds.sync.started", "tds.sync.completed"]

    async def test_a_reader_that_lost_its_lease_stores_nothing(self, database: Database) -> None:
        """P5 for runs: neither records nor checkpoint."""
        await ask(database)
        first = await take(database)
        assert first
        await put(database, first, PAGE)
        await execute(database, "UPDATE tds_sync_runs SET lock_expires_at = now() - interval '1 second'")
        with pytest.raises(LeaseLostError):
            await put(database, first, LAST)
        second = await take(database, "second")
        assert second
        assert second.checkpoint == PAGE.checkpoint
        with pytest.raises(LeaseLostError):
            await put(database, first, LAST)
        async with database.transaction() as session:
            assert not await runs.renew_run(session, first, lease=60)
            await runs.postpone_run(session, first, seconds=60, why="late", spent=1)
        found = await the_run(database)
        assert (found["total_events"], found["locked_by"], found["attempts"]) == (3, "second", 0)
        assert await value(database, "SELECT count(*) FROM tds_inbox_events") == 3

    async def test_a_reader_that_lost_its_lease_does_not_fail_the_run(self, database: Database) -> None:
        """P5: it was slow, then its token was refused; another one reads on."""
        await ask(database)
        source = FakeSource(records(1), gate=asyncio.Event(), failures=deque([SourceAuthError("expired")]))
        slow = asyncio.create_task(read(database, source))
        await source.asked.wait()
        await execute(database, "UPDATE tds_sync_runs SET lock_expires_at = now() - interval '1 second'")
        assert await take(database, "second")
        assert source.gate
        source.gate.set()
        await slow
        found = await the_run(database)
        assert (found["status"], found["locked_by"]) == ("processing", "second")


class TestTrouble:
    """What a source may answer instead of a page."""

    async def test_throttled_it_rests_and_spends_nothing(self, database: Database) -> None:
        """P8: as long as the source asks for, with its checkpoint."""
        await ask(database)
        source = FakeSource(records(150), failures=deque([None, SourceThrottledError("slow down", retry_after=90)]))
        await read(database, source)
        (found,) = await rows(database, "SELECT *, next_attempt_at - now() AS rest FROM tds_sync_runs")
        assert 80 < found["rest"].total_seconds() <= 90
        assert (found["status"], found["locked_by"], found["attempts"]) == ("processing", None, 0)
        assert (found["checkpoint"], found["error_summary"]) == ({"next": 1}, "slow down")
        assert not await read(database, source)
        await due_now(database)
        assert await read(database, source)
        assert source.served == [0, 1]

    async def test_refused_it_fails_and_says_so(self, database: Database) -> None:
        """A person must look at the credentials; what was read stays."""
        await ask(database)
        await read(database, FakeSource(records(150), failures=deque([None, SourceAuthError("token revoked")])))
        found = await the_run(database)
        assert (found["status"], found["error_summary"], found["locked_by"]) == ("failed", "token revoked", None)
        assert await events(database) == ["tds.sync.started", "tds.sync.failed"]
        assert await rows(database, "SELECT * FROM tds_sync_cursors") == []
        assert (await validate(database)).queued == 100

    async def test_a_bug_fails_it_by_name(self, database: Database) -> None:
        """A run must end, and say why."""
        await ask(database)
        await read(database, FakeSource(records(1), failures=deque([KeyError("items")])))
        assert (await the_run(database))["error_summary"] == "KeyError: 'items'"

    async def test_a_source_that_ends_without_a_last_page_does_not_read_for_ever(self, database: Database) -> None:
        """Nor does it leave the run open in silence: it ends, or it rests and says why."""
        await ask(database)

        await read(database, FakeSource(records(150), last_is_told=False))
        found = await the_run(database)
        assert found["locked_by"] is None
        assert found["error_summary"]

    async def test_a_source_that_never_tells_its_last_page_fails_in_the_end(self, database: Database) -> None:
        """Empty pages bring nothing on: sixty such attempts in a row (an hour) are enough."""
        await ask(database)
        source = FakeSource(records(150), last_is_told=False)
        for _ in range(62):
            await read(database, source)
            await due_now(database)
        found = await the_run(database)
        assert (found["status"], found["total_events"]) == ("failed", 150)
        assert "without a last" in found["error_summary"]

    async def test_a_broken_connection_to_the_source_is_no_bug(self, database: Database) -> None:
        """It rests, and an attempt is spent."""
        await ask(database)
        await read(database, FakeSource(records(1), failures=deque([ConnectionResetError("gone")])))
        found = await the_run(database)
        assert (found["status"], found["attempts"], found["locked_by"]) == ("processing", 1, None)

    async def test_unavailable_it_rests_longer_each_time_and_then_fails(self, database: Database) -> None:
        """Sixty in a row, without a page between them: an hour, since the pauses grow to a minute."""
        await ask(database)
        source = FakeSource(records(1), failures=deque(SourceUnavailableError("down") for _ in range(60)))
        for attempt in range(1, 60):
            await read(database, source)
            found = await the_run(database)
            assert (found["status"], found["attempts"]) == ("processing", attempt)
            await due_now(database)
        await read(database, source)
        assert (await the_run(database))["status"] == "failed"

    async def test_a_page_between_troubles_begins_the_count_anew(self, database: Database) -> None:
        """P7: 59 errors long ago and one now are not sixty in a row."""
        await ask(database)
        down: list[BaseException | None] = [SourceUnavailableError("down") for _ in range(59)]
        source = FakeSource(records(250), failures=deque([*down, None, SourceUnavailableError("again")]))
        for _ in range(60):
            await read(database, source)
            await due_now(database)
        assert source.served == [0]
        found = await the_run(database)
        assert (found["status"], found["attempts"]) == ("processing", 1)


class TestStopping:
    """A process that is to end."""

    @pytest.mark.parametrize("high_water", [20_000, 1])
    async def test_lays_its_run_down_for_another(self, database: Database, high_water: int) -> None:
        """While it waits for a page, or for room: no lease, no reason, and the checkpoint of what was stored."""
        await ask(database)
        bell, stopping, gate = Doorbell(database), asyncio.Event(), asyncio.Event()
        source = FakeSource(records(250), gate=gate)
        settings = QueueSettings(high_water=high_water)
        runner = Runner(database, {"zoho": source}, bell, settings, "first", stopping=stopping)
        reading = asyncio.create_task(runner.step())
        await source.asked.wait()
        gate.set()

        async def stored() -> bool:
            return await value(database, "SELECT pages FROM tds_sync_runs") >= 1

        source.gate = asyncio.Event()
        await eventually(stored)
        stopping.set()
        async with asyncio.timeout(3):
            assert await reading
        await bell.close()
        found = await the_run(database)
        assert (found["status"], found["locked_by"], found["error_summary"]) == ("processing", None, None)
        assert (found["checkpoint"], found["attempts"]) == ({"next": 1}, 0)
        source.gate = None
        assert await read(database, source, "second")
        assert (await the_run(database))["total_events"] == 250


class TestEnding:
    """Runs that somebody else carries out."""

    async def test_of_an_ended_run_is_refused(self, database: Database) -> None:
        """What has failed does not complete afterwards."""
        run_id = await ask(database)
        async with database.session() as session:
            await runs.fail_run(session, run_id, error="no")
            with pytest.raises(ConflictError):
                await runs.complete_run(session, run_id, total_processed=1, successful=1, failed=0)
            with pytest.raises(runs.RunNotFoundError):
                await runs.fail_run(session, "00000000-0000-7000-8000-000000000000", error="no")
