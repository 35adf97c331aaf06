"""Events, subscribers and patience for tests of the event bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.core.events.event import DomainEvent
from app.core.events.event_bus import EventBus

__all__ = ["becomes", "collector", "make", "numbers"]


def make(event_type: str = "tds.entity.create", number: int = 0) -> DomainEvent:
    """An event that can be told from others by its number."""
    return DomainEvent(event_type=event_type, data={"number": number})


def numbers(events: list[DomainEvent]) -> list[int]:
    """The numbers of some events."""
    return [event.data["number"] for event in events]


def collector(bus: EventBus, *patterns: str) -> list[DomainEvent]:
    """A list that fills with what a subscriber of these patterns gets."""
    got: list[DomainEvent] = []

    def collect(event: DomainEvent) -> None:
        got.append(event)

    for pattern in patterns:
        bus.subscribe(pattern)(collect)
    return got


async def becomes(condition: Callable[[], bool]) -> bool:
    """Whether something becomes true within a thousand turns of the loop."""
    for _ in range(1_000):
        if condition():
            return True
        await asyncio.sleep(0)
    return False
