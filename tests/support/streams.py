"""A hub of the event stream and readers of it, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

from app.bff.stream_client import EventFilter
from app.bff.stream_hub import StreamHub
from app.core.config import StreamSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.epochs import EpochReader, Epochs
from app.core.events import event_log
from app.core.events.event import DomainEvent
from app.core.events.event_bus import EventBus
from tests.support.events import make
from tests.support.pipeline import eventually
from tests.support.stream import StreamParser

__all__ = ["Reader", "a_hub", "allowed", "comes_true", "commit", "commit_numbers", "opened"]

BUS = EventBus()
QUICK = {"look_seconds": 0.01, "heartbeat_seconds": 3_600.0}


async def allowed(epochs: Epochs) -> bool:
    """Whoever asks."""
    del epochs
    return True


async def commit(database: Database, *events: DomainEvent) -> None:
    """Record events in a transaction of their own."""
    async with database.transaction() as session:
        await event_log.record(session, events, bus=BUS)


async def commit_numbers(database: Database, *numbers: int) -> None:
    """The same, of events that can be told apart."""
    await commit(database, *(make(number=number) for number in numbers))


@asynccontextmanager
async def a_hub(database: Database, bell: Doorbell | None = None, **settings: float) -> AsyncGenerator[StreamHub]:
    """A hub as a process has it."""
    chosen = StreamSettings(**{**QUICK, **settings})  # pyright: ignore[reportArgumentType] - the keywords are the test's
    doorbell = bell or Doorbell(database)
    hub = StreamHub(database, doorbell, EpochReader(database), chosen)
    yield hub
    await hub.aclose()
    await doorbell.close()


class Reader:
    """A client that reads all it is sent."""

    def __init__(self, hub: StreamHub, last: int | None = None, wanted: EventFilter | None = None) -> None:
        self.hub = hub
        self.parser = StreamParser()
        self.client = hub.open("somebody", wanted or EventFilter(), allowed)
        self._news = asyncio.Event()
        self.task = asyncio.ensure_future(self._read(last))

    async def _read(self, last: int | None) -> None:
        try:
            async with aclosing(self.hub.follow(self.client, last)) as chunks:
                async for chunk in chunks:
                    self.parser.feed(chunk)
                    self._news.set()
        finally:
            self.hub.leave(self.client)
            self._news.set()

    async def until(self, reached: Callable[[StreamParser], bool]) -> StreamParser:
        """Read on until something was read."""
        async with asyncio.timeout(30):
            while not reached(self.parser):
                assert not self.task.done(), "the stream ended"
                self._news.clear()
                await self._news.wait()
        return self.parser

    async def numbers(self, amount: int) -> list[int]:
        """The numbers of the first so many events."""
        await self.until(lambda parser: len(parser.of()) >= amount)
        return [one.data["data"]["number"] for one in self.parser.of()]

    async def hang_up(self) -> None:
        """Go in the middle of everything."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def opened(hub: StreamHub, wanted: EventFilter | None = None) -> Reader:
    """A reader that has been told where it starts, and waits for news."""
    reader = Reader(hub, wanted=wanted)
    await reader.until(lambda parser: bool(parser.messages))
    await comes_true(lambda: reader.client in hub)
    return reader


async def comes_true(condition: Callable[[], bool]) -> None:
    """Wait for what only shows in the hub's own state."""

    async def asked() -> bool:
        return condition()

    await eventually(asked)
