"""The event bus: looking back, waiting for subscribers, and a bus of one's own in tests."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from app.core.events.event import DomainEvent
from app.core.events.event_bus import EventBus, event_bus
from tests.support.events import becomes, collector, make, numbers


@pytest.fixture
def bus() -> EventBus:
    """A bus of the test's own."""
    return EventBus()


class TestGetEventHistory:
    """Looking back."""

    async def test_is_newest_first_and_at_once(self, bus: EventBus) -> None:
        """What was published stands in the history before any handler ran."""
        bus.publish_nowait([make(number=number) for number in range(5)])
        assert numbers(bus.get_event_history(limit=2)) == [4, 3]
        assert numbers(bus.get_event_history()) == [4, 3, 2, 1, 0]
        assert bus.get_event_history(limit=0) == []

    def test_is_bounded(self) -> None:
        """The oldest give way."""
        bus = EventBus(history=3)
        bus.publish_nowait([make(number=number) for number in range(10)])
        assert numbers(bus.get_event_history(limit=100)) == [9, 8, 7]

    def test_keeps_a_thousand_by_default(self, bus: EventBus) -> None:
        """The default bound."""
        bus.publish_nowait([make(number=number) for number in range(1_001)])
        assert len(bus.get_event_history()) == 1_000


class TestDrain:
    """Waiting for what was published so far."""

    async def test_does_not_wait_for_what_comes_later(self, bus: EventBus) -> None:
        """Events published while draining are not waited for, or it might never end."""

        @bus.subscribe("*")
        async def echo(event: DomainEvent) -> None:
            await bus.publish(make(number=event.data["number"] + 1))

        await bus.publish(make(number=0))
        await bus.drain(timeout=5)
        assert bus.subscriptions()[0].delivered >= 1
        bus.clear()

    async def test_gives_up_after_its_time(self, bus: EventBus) -> None:
        """A handler that hangs makes it time out rather than hang too."""

        @bus.subscribe("*")
        async def hang(event: DomainEvent) -> None:
            del event
            await asyncio.Event().wait()

        await bus.publish(make())
        with pytest.raises(TimeoutError):
            await bus.drain(timeout=0.01)
        with capture_logs():
            bus.clear()
            await asyncio.sleep(0)

    async def test_is_over_at_once_on_a_quiet_bus(self, bus: EventBus) -> None:
        """Nothing published, nothing to wait for."""
        collector(bus, "*")
        await bus.drain(timeout=0)


class TestSettle:
    """Backpressure."""

    async def test_waits_until_the_slowest_has_caught_up(self, bus: EventBus) -> None:
        """It returns as soon as no subscriber has more than so many events before it, and not sooner."""
        steps = asyncio.Semaphore(0)

        @bus.subscribe("*")
        async def slow(event: DomainEvent) -> None:
            del event
            await steps.acquire()

        collector(bus, "*")
        bus.publish_nowait([make(number=number) for number in range(10)])
        settled = asyncio.create_task(bus.settle(4))
        for _ in range(5):
            steps.release()
        assert await becomes(lambda: bus.subscriptions()[0].pending == 5)
        assert not settled.done()
        steps.release()
        await asyncio.wait_for(settled, 5)
        assert bus.subscriptions()[0].pending == 4
        for _ in range(4):
            steps.release()
        await bus.drain(timeout=5)

    async def test_gives_up_after_its_time(self, bus: EventBus) -> None:
        """A hanging subscriber cannot hold the publisher for ever."""
        never = asyncio.Event()

        @bus.subscribe("*")
        async def hang(event: DomainEvent) -> None:
            del event
            await never.wait()

        bus.publish_nowait([make(), make()])
        with pytest.raises(TimeoutError):
            await bus.settle(1, timeout=0.01)
        never.set()
        await bus.drain(timeout=5)


class TestIsolated:
    """A bus of one's own, for tests."""

    async def test_restores_subscribers_and_history(self, bus: EventBus) -> None:
        """Inside, the bus is empty; afterwards it is what it was, and what was added inside is gone."""
        outer = collector(bus, "*")
        await bus.publish(make(number=1))
        with bus.isolated() as inner:
            assert inner.get_event_history() == []
            inside = collector(inner, "*")
            await inner.publish(make(number=2))
            await inner.drain(timeout=5)
        await bus.publish(make(number=3))
        await bus.drain(timeout=5)
        assert numbers(inside) == [2]
        assert numbers(outer) == [1, 3]
        assert numbers(bus.get_event_history()) == [3, 1]

    async def test_restores_after_an_error(self, bus: EventBus) -> None:
        """A failing test leaves no subscriber behind either."""

        def fail_inside() -> None:
            with bus.isolated():
                collector(bus, "*")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_inside()
        assert bus.subscriptions() == []

    def test_works_on_the_bus_of_the_process(self) -> None:
        """The global bus is a bus like any other."""
        with event_bus.isolated():
            event_bus.publish_nowait([make()])
            assert event_bus.get_event_history(limit=1)[0].event_type == "tds.entity.create"
