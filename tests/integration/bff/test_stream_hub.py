"""The event stream of a process: its reader, its clients, and what becomes of slow and of many ones."""

from __future__ import annotations

import asyncio
from random import Random
from time import monotonic

import pytest

from app.bff.stream_client import EventFilter, StreamClient
from app.bff.stream_hub import OPEN, RESET, StreamsFullError, TooManyStreamsError
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.epochs import Epochs
from app.core.events.event import DomainEvent
from app.core.events.tail import EVENTS_BELL
from app.tds.core.events import TDSEntitySyncedEvent
from app.tds.types import OperationType
from tests.support.pipeline import execute, statements
from tests.support.stream import StreamParser
from tests.support.streams import Reader, a_hub, allowed, comes_true, commit, commit_numbers, opened


class TestStart:
    """Without a position."""

    async def test_tells_at_once_where_it_starts(self, database: Database) -> None:
        """A client that dies after the first message knows where to go on; what was before is not sent."""
        await commit_numbers(database, 1, 2)
        async with a_hub(database) as hub:
            reader = await opened(hub)
            (first,) = reader.parser.messages
            assert (first.event, first.id, first.data) == (OPEN, "2", {"position": 2})
            assert reader.parser.retry == 3000

    async def test_sends_each_event_as_json_in_a_line(self, database: Database) -> None:
        """Id, type and data are those of the log; line breaks and odd characters do not break the line."""
        event = DomainEvent(
            event_type="tds.entity.update",
            data={"note": "a\nb\r\n\u2028data: x\n\nid: 7", "name": "قميص", "price": "1.50"},
            aggregate_type="product",
            aggregate_id="7",
            correlation_id="run",
        )
        async with a_hub(database) as hub:
            reader = await opened(hub)
            await commit(database, event)
            parser = await reader.until(lambda parser: bool(parser.of()))
            (got,) = parser.of()
            assert (got.event, got.id, got.data) == ("tds.entity.update", "1", event.as_dict())

    async def test_waits_for_a_database_that_does_not_answer_yet(self, database: Database) -> None:
        """The stream is open meanwhile, and starts when it does."""
        await execute(database, "ALTER TABLE event_log RENAME TO away")
        async with a_hub(database) as hub:
            reader = Reader(hub)
            await reader.until(lambda parser: parser.retry is not None)
            assert reader.parser.messages == []
            await execute(database, "ALTER TABLE away RENAME TO event_log")
            await reader.until(lambda parser: bool(parser.of(OPEN)))


class TestFilters:
    """Who wants what."""

    @pytest.mark.parametrize(
        ("wanted", "numbers"),
        [
            (EventFilter(), [0, 1, 2, 3]),
            (EventFilter(("tds.entity.*",)), [0, 1, 2]),
            (EventFilter(("tds.entity.create", "tds.alert.*")), [0, 3]),
            (EventFilter(("tds.entity.synced",)), [0, 1]),
            (EventFilter(entity_type="customer"), [1, 2]),
            (EventFilter(aggregate_id="a"), [0, 3]),
            (EventFilter(("tds.entity.*",), "product", "a"), [0]),
        ],
        ids=["all", "below", "two patterns", "synced", "entity type", "aggregate", "all at once"],
    )
    async def test_sends_what_all_conditions_hold_for(
        self, database: Database, wanted: EventFilter, numbers: list[int]
    ) -> None:
        """Both live and when catching up."""
        events = [
            DomainEvent(event_type="tds.entity.create", data={"n": 0, "entity_type": "product"}, aggregate_id="a"),
            DomainEvent(event_type="tds.entity.update", data={"n": 1, "entity_type": "customer"}, aggregate_id="b"),
            DomainEvent(event_type="tds.entity.failed", data={"n": 2, "entity_type": "customer"}, aggregate_id="q"),
            DomainEvent(event_type="tds.alert.triggered", data={"n": 3}, aggregate_id="a"),
        ]
        async with a_hub(database) as hub:
            live = await opened(hub, wanted)
            await commit(database, *events)
            await live.until(lambda parser: len(parser.of()) == len(numbers))
            late = Reader(hub, 0, wanted)
            await late.until(lambda parser: len(parser.of()) == len(numbers))
            for reader in (live, late):
                assert [one.data["data"]["n"] for one in reader.parser.of()] == numbers

    async def test_knows_synced_events_by_both_names(self) -> None:
        """As the bus delivers them."""
        event = TDSEntitySyncedEvent(
            entity_type="product", entity_id="1", source_entity_id="9", operation=OperationType.DELETE, changes={}
        )
        assert all(EventFilter((pattern,)).wants(event) for pattern in event.delivery_types)


class TestResume:
    """With a position."""

    async def test_goes_on_after_it(self, database: Database) -> None:
        """What came meanwhile is sent, in pages, and then what comes; nothing else is told."""
        await commit_numbers(database, *range(1, 451))
        async with a_hub(database) as hub:
            reader = Reader(hub, 10)
            assert await reader.numbers(440) == list(range(11, 451))
            await commit_numbers(database, 451)
            assert (await reader.numbers(441))[-1] == 451
            assert reader.parser.of(OPEN, RESET) == []

    async def test_loses_and_doubles_nothing_across_processes_and_restarts(self, database: Database) -> None:
        """A client that is cut off again and again, and comes to one of two servers, which begin their reading anew."""
        chance = Random(4)
        async with a_hub(database) as first, a_hub(database) as second:
            hubs = [first, second]
            begun = await opened(hubs[0])
            last = int(begun.parser.last_id)
            await begun.hang_up()
            writing = asyncio.ensure_future(_write_all(database, 300))
            got: list[int] = []
            while len(got) < 300:
                reader = Reader(chance.choice(hubs), last)
                await reader.until(lambda parser: bool(parser.of()))
                await reader.hang_up()
                got += [one.data["data"]["number"] for one in reader.parser.of()]
                last = int(reader.parser.last_id)
            await writing
        assert got == list(range(300))

    async def test_waits_where_another_process_has_read_further(self, database: Database) -> None:
        """A server that lags behind neither repeats what the client has, nor takes its position for a wrong one."""
        await commit_numbers(database, 1)
        bell = Doorbell(database)
        async with a_hub(database, bell, look_seconds=3_600) as lagging:
            keeping = await opened(lagging)
            await commit_numbers(database, 2, 3)
            reader = Reader(lagging, 2)
            await reader.until(lambda parser: parser.retry is not None)
            await comes_true(lambda: reader.client in lagging)
            bell.ring(EVENTS_BELL)
            assert await keeping.numbers(2) == [2, 3]
            assert await reader.numbers(1) == [3]

    @pytest.mark.parametrize(("last", "reason"), [(2, "too_far_back"), (99, "unknown_position")])
    async def test_says_what_to_reload_where_it_cannot(self, database: Database, last: int, reason: str) -> None:
        """From too far back, or from where this log has never been; then it goes on from now."""
        await commit_numbers(database, *range(1, 21))
        async with a_hub(database, resumable_events=10) as hub:
            reader = Reader(hub, last)
            parser = await reader.until(lambda parser: bool(parser.messages))
            (first,) = parser.messages
            assert (first.event, first.id) == (RESET, "20")
            assert first.data == {
                "reason": reason,
                "asked": last,
                "position": 20,
                "reload": [
                    "/api/bff/tds/dashboard",
                    "/api/bff/tds/runs",
                    "/api/bff/tds/entities",
                    "/api/bff/tds/alerts",
                    "/api/bff/tds/dead-letter",
                ],
            }
            await commit_numbers(database, 21)
            assert await reader.numbers(1) == [21]

    async def test_says_so_where_the_log_has_forgotten(self, database: Database) -> None:
        """Old partitions go; a position before what is left cannot be gone on from."""
        await commit_numbers(database, *range(1, 6))
        await execute(database, "DELETE FROM event_log WHERE position <= 3")
        async with a_hub(database) as hub:
            gone, kept = Reader(hub, 2), Reader(hub, 3)
            assert (await gone.until(lambda parser: bool(parser.messages))).messages[0].event == RESET
            assert await kept.numbers(2) == [4, 5]

    async def test_moves_on_with_the_heartbeat(self, database: Database) -> None:
        """A client that wants little of much need not resume from where it last got something."""
        async with a_hub(database, heartbeat_seconds=0.05) as hub:
            reader = await opened(hub, EventFilter(("tds.alert.*",)))
            await commit_numbers(database, *range(1, 8))
            await reader.until(lambda parser: parser.last_id == "7")
            assert reader.parser.of() == []
            assert set(reader.parser.comments) == {"heartbeat"}


class TestManyClients:
    """What clients cost each other, and the database."""

    async def test_three_hundred_idle_ones_cost_the_statements_of_one(self, database: Database) -> None:
        """One look for all at a time, one question about access a heartbeat, and no task for any of them."""
        async with a_hub(database, look_seconds=0.25, heartbeat_seconds=1.0, clients_each=300) as hub:
            readers = [Reader(hub) for _ in range(300)]
            for reader in readers:
                await reader.until(lambda parser: bool(parser.messages))
            named = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("event-stream")]
            assert len(named) == 2
            with statements(database) as issued:
                begun = monotonic()
                heard = [len(reader.parser.comments) for reader in readers]
                for reader, number in zip(readers, heard, strict=True):
                    await reader.until(lambda parser, number=number: len(parser.comments) > number)
                seconds = monotonic() - begun
            assert len(issued) / max(seconds, 1.0) <= 6, issued

    async def test_nobody_costs_nothing(self, database: Database) -> None:
        """The last to go ends the reading, and the next to come begins it anew."""
        async with a_hub(database) as hub:
            reader = await opened(hub)
            reading = [task for task in asyncio.all_tasks() if task.get_name().startswith("event-stream")]
            assert len(reading) == 2
            await reader.hang_up()
            await asyncio.wait(reading, timeout=10)
            assert all(task.done() for task in reading)
            await commit_numbers(database, 1)
            assert (await opened(hub)).parser.messages[0].data == {"position": 1}

    async def test_a_slow_one_is_cut_off_and_holds_nobody(self, database: Database) -> None:
        """What waits for it is bounded; the others get all; it goes on from where it was."""
        async with a_hub(database, queued_events=5) as hub:
            quick = await opened(hub)
            slow = hub.open("slow", EventFilter(), allowed)
            chunks = hub.follow(slow, None)
            await anext(chunks)
            first = StreamParser()
            first.feed(await anext(chunks))
            reading = asyncio.ensure_future(anext(chunks))  # it takes one chunk, and then no more
            await comes_true(lambda: slow in hub)
            for number in range(1, 41):
                await commit_numbers(database, number)
                await quick.numbers(number)
            first.feed(await reading)
            assert slow.ended
            assert slow.waiting == 0
            with pytest.raises(StopAsyncIteration):
                await anext(chunks)
            hub.leave(slow)
            again = Reader(hub, int(first.last_id))
            missed = 40 - int(first.last_id)
            assert await again.numbers(missed) == list(range(41 - missed, 41))

    async def test_are_limited_for_each_and_in_all(self, database: Database) -> None:
        """And a place becomes free when one goes."""
        async with a_hub(database, clients=3, clients_each=2) as hub:
            one, two = (hub.open("a", EventFilter(), allowed) for _ in range(2))
            with pytest.raises(TooManyStreamsError):
                hub.open("a", EventFilter(), allowed)
            other = hub.open("b", EventFilter(), allowed)
            with pytest.raises(StreamsFullError):
                hub.open("c", EventFilter(), allowed)
            hub.leave(one)
            hub.leave(one)
            again = hub.open("a", EventFilter(), allowed)
            for client in (two, other, again):
                hub.leave(client)
            assert hub.clients == 0


class TestNews:
    """How the reader hears of them."""

    async def test_a_bell_wakes_it(self, database: Database) -> None:
        """It need not wait until it looks by itself."""
        bell = Doorbell(database)
        async with a_hub(database, bell, look_seconds=3_600) as hub:
            reader = await opened(hub)
            await commit_numbers(database, 1)
            bell.ring(EVENTS_BELL)
            assert await reader.numbers(1) == [1]

    async def test_goes_on_after_its_connections_were_cut(self, database: Database) -> None:
        """And misses nothing of what happened meanwhile."""
        async with a_hub(database) as hub:
            reader = await opened(hub)
            await execute(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            await commit_numbers(database, 1, 2)
            assert await reader.numbers(2) == [1, 2]


class TestEnd:
    """How a stream ends."""

    async def test_all_end_at_once_with_the_server(self, database: Database) -> None:
        """Those that wait, those that have not begun; and nobody is let in any more."""
        async with a_hub(database) as hub:
            readers = [await opened(hub), Reader(hub), Reader(hub, 0)]
            hub.close()
            async with asyncio.timeout(10):
                await asyncio.gather(*(reader.task for reader in readers))
            assert hub.clients == 0
            with pytest.raises(StreamsFullError):
                hub.open("late", EventFilter(), allowed)

    async def test_ends_within_a_heartbeat_of_losing_access(self, database: Database) -> None:
        """Only the one who lost it; one whose access could not be told is kept."""
        async with a_hub(database, heartbeat_seconds=0.05) as hub:
            lost = asyncio.Event()

            async def until_lost(epochs: Epochs) -> bool:
                del epochs
                return not lost.is_set()

            async def troubled(epochs: Epochs) -> bool:
                raise ConnectionError(str(epochs))

            ending: StreamClient = hub.open("revoked", EventFilter(), until_lost)
            kept = [hub.open("other", EventFilter(), one) for one in (allowed, troubled)]
            lost.set()
            await comes_true(lambda: ending.ended)
            assert [one.ended for one in kept] == [False, False]
            for client in (ending, *kept):
                hub.leave(client)


async def _write_all(database: Database, amount: int) -> None:
    for number in range(amount):
        await commit_numbers(database, number)
