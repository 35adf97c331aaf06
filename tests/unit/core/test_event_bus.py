"""The event bus: who gets what, in which order, and what one subscriber's trouble means for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.testing import capture_logs

from app.core.events.event import DomainEvent
from app.core.events.event_bus import EventBus
from app.core.events.patterns import PatternError
from tests.support.events import becomes, collector, make, numbers

OF_PUBLISHER: ContextVar[str] = ContextVar("OF_PUBLISHER")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedEvent(DomainEvent):
    """An event that goes by a second type, as the data-sync module has them."""

    @property
    def delivery_types(self) -> tuple[str, ...]:
        """Its own type, and that of all synced entities."""
        return (self.event_type, "tds.entity.synced")


@pytest.fixture
def bus() -> EventBus:
    """A bus of the test's own."""
    return EventBus()


class TestSubscribe:
    """Subscribing by pattern."""

    async def test_gives_each_pattern_what_it_covers(self, bus: EventBus) -> None:
        """Exact types, ``tds.*`` at any depth, ``tds.entity.*`` and ``*`` each get their share."""
        exact, module = collector(bus, "tds.entity.create"), collector(bus, "tds.*")
        entity, everything = collector(bus, "tds.entity.*"), collector(bus, "*")
        types = ["tds.entity.create", "tds.entity.delete", "tds.sync.started", "erp.order.placed"]
        bus.publish_nowait([make(event_type) for event_type in types])
        await bus.drain(timeout=5)
        assert [event.event_type for event in exact] == types[:1]
        assert [event.event_type for event in entity] == types[:2]
        assert [event.event_type for event in module] == types[:3]
        assert [event.event_type for event in everything] == types

    def test_returns_the_function_unchanged(self, bus: EventBus) -> None:
        """The decorator leaves the name bound to the very function."""

        async def handle(event: DomainEvent) -> None:
            del event

        assert bus.subscribe("tds.*")(handle) is handle

    async def test_awaits_whatever_can_be_awaited(self, bus: EventBus) -> None:
        """A partial of an async function and an object with an async ``__call__`` are async handlers too."""
        got: list[str] = []

        async def handle(name: str, event: DomainEvent) -> None:
            await asyncio.sleep(0)
            got.append(f"{name} {event.event_type}")

        class Handler:
            async def __call__(self, event: DomainEvent) -> None:
                await handle("object", event)

        bus.subscribe("tds.*")(partial(handle, "partial"))
        bus.subscribe("tds.*")(Handler())
        await bus.publish(make("tds.x"))
        await bus.drain(timeout=5)
        assert sorted(got) == ["object tds.x", "partial tds.x"]
        assert bus.subscriptions()[1].name.endswith("Handler")

    async def test_delivers_once_to_a_pattern_covering_two_delivery_types(self, bus: EventBus) -> None:
        """An event with two types that are both covered by ``tds.*`` comes once."""
        got = collector(bus, "tds.*")
        await bus.publish(SyncedEvent(event_type="tds.entity.create"))
        await bus.drain(timeout=5)
        assert len(got) == 1

    async def test_delivers_once_to_a_handler_with_two_patterns(self, bus: EventBus) -> None:
        """A handler subscribed to both types of an event is one subscriber, and gets it once."""
        got = collector(bus, "tds.entity.create", "tds.entity.synced")
        await bus.publish(SyncedEvent(event_type="tds.entity.create"))
        await bus.drain(timeout=5)
        assert len(got) == 1
        assert bus.subscriptions()[0].patterns == ("tds.entity.create", "tds.entity.synced")

    async def test_delivers_under_the_second_type(self, bus: EventBus) -> None:
        """A subscriber of the second type gets the event, whose type stays the first."""
        got = collector(bus, "tds.entity.synced")
        await bus.publish(SyncedEvent(event_type="tds.entity.delete"))
        await bus.drain(timeout=5)
        assert [event.event_type for event in got] == ["tds.entity.delete"]

    async def test_counts_for_what_is_published_afterwards(self, bus: EventBus) -> None:
        """A subscriber that comes later gets later events of a type already seen, and no earlier ones."""
        await bus.publish(make(number=1))
        got = collector(bus, "tds.*")
        await bus.publish(make(number=2))
        await bus.drain(timeout=5)
        assert numbers(got) == [2]

    @pytest.mark.parametrize("pattern", ["", "a*b", "tds*"])
    def test_refuses_a_bad_pattern_when_it_is_given(self, bus: EventBus, pattern: str) -> None:
        """The mistake shows where it is made, not by silence later."""
        with pytest.raises(PatternError):
            bus.subscribe(pattern)


class TestUnsubscribe:
    """Leaving the bus."""

    async def test_ends_delivery_and_drops_what_waits(self, bus: EventBus) -> None:
        """After it the handler is not called any more, not even for what had been published."""
        got = collector(bus, "tds.*")
        bus.publish_nowait([make()])
        handler = _only_handler(bus)
        bus.unsubscribe(handler)
        await bus.publish(make())
        await bus.drain(timeout=5)
        assert got == []
        assert bus.subscriptions() == []

    async def test_takes_one_pattern_away(self, bus: EventBus) -> None:
        """With a pattern given, the others stay."""
        got = collector(bus, "tds.a", "tds.b")
        bus.unsubscribe(_only_handler(bus), "tds.a")
        bus.publish_nowait([make("tds.a", 1), make("tds.b", 2)])
        await bus.drain(timeout=5)
        assert numbers(got) == [2]

    async def test_lets_a_handler_leave_from_within(self, bus: EventBus) -> None:
        """A handler may unsubscribe itself, and still runs to its end."""
        done: list[int] = []

        @bus.subscribe("tds.*")
        async def once(event: DomainEvent) -> None:
            bus.unsubscribe(once)
            await asyncio.sleep(0)
            done.append(event.data["number"])

        await _publish_and_drain(bus, [make(number=1), make(number=2)])
        assert done == [1]

    def test_leaves_strangers_alone(self, bus: EventBus) -> None:
        """Unsubscribing twice is no error."""
        bus.unsubscribe(print)
        assert bus.subscriptions() == []


class TestPublish:
    """Telling everybody."""

    async def test_keeps_order_for_each_subscriber(self, bus: EventBus) -> None:
        """Events come in the order in which they were published, however the handler dawdles."""
        got: list[int] = []

        @bus.subscribe("*")
        async def slow(event: DomainEvent) -> None:
            for _ in range(event.data["number"] % 3):
                await asyncio.sleep(0)
            got.append(event.data["number"])

        bus.publish_nowait([make(number=number) for number in range(100)])
        await bus.drain(timeout=5)
        assert got == list(range(100))

    async def test_does_not_wait_for_handlers(self, bus: EventBus) -> None:
        """A handler that hangs holds up neither the publisher nor the other subscribers."""
        release = asyncio.Event()

        @bus.subscribe("*")
        async def hang(event: DomainEvent) -> None:
            del event
            await release.wait()

        got = collector(bus, "*")
        await asyncio.wait_for(bus.publish(make()), 5)
        assert await becomes(lambda: len(got) == 1)
        assert [one.pending for one in bus.subscriptions()] == [1, 0]
        release.set()
        await bus.drain(timeout=5)

    async def test_confines_an_error_to_its_subscriber(self, bus: EventBus) -> None:
        """A handler that raises is counted and logged with ids and traceback; it gets later events, others get all."""

        @bus.subscribe("tds.*")
        def fails(event: DomainEvent) -> None:
            raise ValueError(f"number {event.data['number']}")

        got = collector(bus, "tds.*")
        event = DomainEvent(event_type="tds.x", data={"number": 1}, correlation_id="c-7")
        with capture_logs() as logs:
            bus.publish_nowait([event, make("tds.x", 2)])
            await bus.drain(timeout=5)
        assert numbers(got) == [1, 2]
        failing, healthy = bus.subscriptions()
        assert (failing.delivered, failing.failed, failing.pending) == (0, 2, 0)
        assert (healthy.delivered, healthy.failed, healthy.pending) == (2, 0, 0)
        assert [entry["event"] for entry in logs] == ["event_handler_failed"] * 2
        assert logs[0]["event_id"] == str(event.event_id)
        assert logs[0]["correlation_id"] == "c-7"
        assert logs[0]["subscriber"].endswith("fails")
        assert logs[0]["log_level"] == "error"
        assert logs[0]["exc_info"]

    async def test_survives_a_cancelled_error_of_the_handler(self, bus: EventBus) -> None:
        """Something that a handler waits for being cancelled fails this event only."""

        @bus.subscribe("*")
        async def handle(event: DomainEvent) -> None:
            if event.data["number"] == 1:
                raise asyncio.CancelledError

        with capture_logs() as logs:
            bus.publish_nowait([make(number=1), make(number=2)])
            await bus.drain(timeout=5)
        status = bus.subscriptions()[0]
        assert (status.delivered, status.failed) == (1, 1)
        assert len(logs) == 1

    async def test_lets_a_handler_publish(self, bus: EventBus) -> None:
        """An event published by a handler is delivered like any other."""
        got = collector(bus, "tds.second")

        @bus.subscribe("tds.first")
        async def chain(event: DomainEvent) -> None:
            await bus.publish(make("tds.second", event.data["number"]))

        await bus.publish(make("tds.first", 5))
        await bus.drain(timeout=5)
        await bus.drain(timeout=5)
        assert numbers(got) == [5]

    async def test_keeps_the_publishers_context_to_itself(self, bus: EventBus) -> None:
        """A handler's log context holds the ids of its event, and nothing that the publisher had bound."""
        seen: list[dict[str, Any]] = []

        @bus.subscribe("*")
        def look(event: DomainEvent) -> None:
            del event
            seen.append(dict(get_contextvars()) | {"variable": OF_PUBLISHER.get(None)})

        event = DomainEvent(event_type="tds.x", correlation_id="c-1")
        OF_PUBLISHER.set("a span of the request")
        with bound_contextvars(request_id="r-1"):
            await bus.publish(event)
            await bus.drain(timeout=5)
        ids = {"event_id": str(event.event_id), "event_type": "tds.x", "correlation_id": "c-1"}
        assert seen == [ids | {"variable": None}]

    async def test_gives_other_tasks_their_turn(self, bus: EventBus) -> None:
        """A long run of events for a handler that never waits does not keep the loop to itself."""
        got = collector(bus, "*")
        bus.publish_nowait([make(number=number) for number in range(1_000)])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 0 < len(got) < 1_000


class TestPublishNowait:
    """Publishing from where nothing can be awaited."""

    def test_waits_for_a_loop(self, bus: EventBus) -> None:
        """Without a running loop events are kept, and the next loop that drains delivers them in order."""
        got = collector(bus, "*")
        bus.publish_nowait([make(number=1), make(number=2)])
        assert got == []
        asyncio.run(bus.drain(timeout=5))
        assert numbers(got) == [1, 2]

    def test_takes_over_from_a_loop_that_was_just_closed(self, bus: EventBus) -> None:
        """Nobody cancelled the delivery there: it counts as failed, so that draining does not wait for it for ever."""

        @bus.subscribe("*")
        async def handle(event: DomainEvent) -> None:
            if event.data["number"] == 1:
                await asyncio.Event().wait()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(_publish_and_yield(bus, [make(number=1), make(number=2)]))
        loop.close()
        asyncio.run(_publish_and_drain(bus, [make(number=3)]))
        status = bus.subscriptions()[0]
        assert (status.delivered, status.failed, status.pending) == (2, 1, 0)

    def test_goes_on_in_the_next_loop(self, bus: EventBus) -> None:
        """A loop that ends in the middle of a delivery fails that event; the next loop delivers the rest."""
        got: list[int] = []

        @bus.subscribe("*")
        async def handle(event: DomainEvent) -> None:
            if event.data["number"] == 1:
                await asyncio.Event().wait()
            got.append(event.data["number"])

        with capture_logs():
            asyncio.run(_publish_and_yield(bus, [make(number=1), make(number=2)]))
            asyncio.run(_publish_and_drain(bus, [make(number=3)]))
        assert got == [2, 3]
        status = bus.subscriptions()[0]
        assert (status.delivered, status.failed, status.pending) == (2, 1, 0)

    async def test_leaves_no_task_behind(self, bus: EventBus) -> None:
        """A subscriber's task exists only while events wait."""
        collector(bus, "*")
        before = asyncio.all_tasks()
        bus.publish_nowait([make()])
        assert len(asyncio.all_tasks() - before) == 1
        await bus.drain(timeout=5)
        assert await becomes(lambda: asyncio.all_tasks() == before)


def _only_handler(bus: EventBus) -> Callable[[DomainEvent], object]:
    return next(iter(bus._subscribers))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - to name a local function


async def _publish_and_drain(bus: EventBus, events: list[DomainEvent]) -> None:
    bus.publish_nowait(events)
    await bus.drain(timeout=5)


async def _publish_and_yield(bus: EventBus, events: list[DomainEvent]) -> None:
    bus.publish_nowait(events)
    await asyncio.sleep(0)
