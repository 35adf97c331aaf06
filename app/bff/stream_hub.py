"""The event stream of one process: one reader of the log, one pulse, and any number of clients.

While anyone listens, the hub looks at the log when the bell ``events`` rings, and once a second by itself. Each event
is encoded once, and handed to every client that wants it without waiting for any. An idle client costs memory only.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from app.bff.stream_client import EventFilter, Message, StreamClient, event_frame, frame
from app.core.config import StreamSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.epochs import EpochReader, Epochs
from app.core.errors import TdsError
from app.core.events.event_log import RecordedEvent
from app.core.events.tail import EVENTS_BELL, EventTail
from app.core.telemetry import get_logger

__all__ = ["OPEN", "RESET", "StreamHub", "StreamsFullError", "TooManyStreamsError"]

_log = get_logger(__name__)

OPEN: Final = "tds.stream.open"
RESET: Final = "tds.stream.reset"

_RETRY: Final = b"retry: 3000\n\n"
_PAGE: Final = 200
_CATCHING_UP: Final = 4
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0
_RELOAD: Final = [f"/api/bff/tds/{name}" for name in ("dashboard", "runs", "entities", "alerts", "dead-letter")]


class StreamsFullError(TdsError):
    """This server has as many event streams open as it may have. Try again in a moment, or read the pages instead."""

    status = 503
    headers: Mapping[str, str] = MappingProxyType({"Retry-After": "15"})


class TooManyStreamsError(TdsError):
    """You have as many event streams open as one may have. Close one of them first."""

    status = 429
    headers: Mapping[str, str] = MappingProxyType({"Retry-After": "15"})


class StreamHub:
    """Clients come by ``open`` and are served by ``follow``. ``close`` ends all at once, and lets nobody in.

    Args:
        listen: whether to hear other processes' bells while anyone listens; not where workers do so all the time.
    """

    def __init__(
        self,
        database: Database,
        doorbell: Doorbell,
        epochs: EpochReader,
        settings: StreamSettings,
        *,
        listen: bool = False,
    ) -> None:
        self.settings = settings
        self._database = database
        self._doorbell = doorbell
        self._epochs = epochs
        self._listen = listen
        self._clients: set[StreamClient] = set()
        self._live: set[StreamClient] = set()
        self._each: Counter[str] = Counter()
        self._tail = EventTail(database)
        self._found = asyncio.Event()
        self._pages = asyncio.Semaphore(_CATCHING_UP)
        self._tasks: list[asyncio.Task[None]] = []
        self.closed = False

    @property
    def clients(self) -> int:
        """How many streams are open."""
        return len(self._clients)

    def __contains__(self, client: StreamClient) -> bool:
        """Whether the client has got all there was, and is handed what comes."""
        return client in self._live

    def open(self, key: str, wanted: EventFilter, still_allowed: Callable[[Epochs], Awaitable[bool]]) -> StreamClient:
        """Let a client in; whoever calls this must ``leave``.

        Raises:
            StreamsFullError: the process has its number, or ends.
            TooManyStreamsError: this principal has.
        """
        if self.closed or len(self._clients) >= self.settings.clients:
            raise StreamsFullError
        if self._each[key] >= self.settings.clients_each:
            raise TooManyStreamsError
        client = StreamClient(key, wanted, still_allowed, limit=self.settings.queued_events)
        self._clients.add(client)
        self._each[key] += 1
        if not self._tasks:
            self._start()
        return client

    def leave(self, client: StreamClient) -> None:
        """Forget a client; the last one stops the reading."""
        if client not in self._clients:
            return
        self._clients.remove(client)
        self._live.discard(client)
        self._each -= Counter({client.key: 1})
        if not self._clients:
            self._stop()

    def close(self) -> None:
        """End all streams at once: the server ends."""
        self.closed = True
        for client in self._clients:
            client.end()

    async def aclose(self) -> None:
        """The same, and wait until the reading has ended."""
        self.close()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(self, client: StreamClient, last: int | None) -> AsyncGenerator[bytes]:
        """What the client is sent: from the end of the log, or on from the position it has got to."""
        yield _RETRY
        await self._until_found(client)
        if client.ended:
            return
        first = await self._first_message(client, last)
        if first is not None:
            yield first
        async for page in self._catch_up(client):
            yield page
        while (taken := await client.take()) is not None:
            yield taken

    async def _until_found(self, client: StreamClient) -> None:
        while not self._found.is_set() and not client.ended:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._found.wait(), _SHORTEST_PAUSE * 10)

    @property
    def _position(self) -> int:
        position = self._tail.position
        assert position is not None  # noqa: S101 - `_found` is set once there is one
        return position

    async def _first_message(self, client: StreamClient, last: int | None) -> bytes | None:
        """Tell where the client starts, unless it goes on from where it was."""
        if last is None:
            client.position = self._position
            return frame(OPEN, client.position, {"position": client.position})
        reason = await self._why_not_from(last)
        if reason is None:
            client.position = last
            return None
        client.position = self._position
        told = {"reason": reason, "asked": last, "position": client.position, "reload": _RELOAD}
        return frame(RESET, client.position, told)

    async def _why_not_from(self, last: int) -> str | None:
        if self._position - last > self.settings.resumable_events:
            return "too_far_back"
        bounds = await self._tail.bounds()
        if last > max(bounds.newest or 0, self._position):
            return "unknown_position"  # another database's, or this one was restored from a backup
        if bounds.oldest is not None and bounds.oldest > last + 1 and last < self._position:
            return "too_far_back"
        return None

    async def _catch_up(self, client: StreamClient) -> AsyncGenerator[bytes]:
        """Pages of what the client has missed; then, with no pause in which anything could be missed, it is live."""
        while not client.ended and client.position < self._position:
            upto = self._position
            async with self._pages:
                events = await self._tail.between(client.position, upto, limit=_PAGE)
            client.position = events[-1].position if len(events) == _PAGE else upto
            wanted = [event_frame(one).frame for one in events if client.wanted.wants(one.event)]
            if wanted:
                yield b"".join(wanted)
        if not client.ended:
            self._live.add(client)

    # ------------------------------------------------------------------------------------- the reader and the pulse

    def _start(self) -> None:
        self._tail = EventTail(self._database)
        self._found.clear()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._read(), name="event-stream"),
            loop.create_task(self._pulse(), name="event-stream-pulse"),
        ]
        if self._listen:
            self._tasks.append(loop.create_task(self._doorbell.listen(), name="event-stream-bell"))

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def _read(self) -> None:
        bell = self._doorbell.subscribe(EVENTS_BELL)
        pause = _SHORTEST_PAUSE
        try:
            while True:
                bell.clear()
                try:
                    settled = await self._step()
                    pause = _SHORTEST_PAUSE
                except Exception as error:  # noqa: BLE001 - whatever it is, a reader that ends is silence for ever
                    _log.warning("event_stream_blind", error=str(error))
                    pause = min(_LONGEST_PAUSE, pause * 2)
                    settled = False
                await asyncio.sleep(pause)  # one look for all bells of that time
                if settled:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(bell.wait(), self.settings.look_seconds)
        finally:
            self._doorbell.unsubscribe(EVENTS_BELL, bell)

    async def _step(self) -> bool:
        """Look once; whether there is nothing more for now."""
        if not self._found.is_set():
            if await self._tail.seek_end():
                self._found.set()
            return self._found.is_set()
        events = await self._tail.advance()
        if events:
            self._hand_out(events)
        return not events and not self._tail.waiting

    def _hand_out(self, events: Sequence[RecordedEvent]) -> None:
        """To all live clients, the same bytes; those who want the same are served from one choice."""
        alike: defaultdict[EventFilter, list[StreamClient]] = defaultdict(list)
        for client in self._live:
            alike[client.wanted].append(client)
        encoded: dict[int, Message] = {}
        for wanted, clients in alike.items():
            chosen = [one for one in events if wanted.wants(one.event)]
            messages = [_encoded(one, encoded) for one in chosen]
            for client in clients:
                if messages and not client.put(messages):
                    self._live.discard(client)
                    _log.info("event_stream_client_too_slow", principal=client.key)

    async def _pulse(self) -> None:
        while True:
            await asyncio.sleep(self.settings.heartbeat_seconds)
            try:
                epochs = await self._epochs.current()
            except Exception as error:  # noqa: BLE001 - without a database nothing is revoked, and nothing is told
                _log.warning("event_stream_unchecked", error=str(error))
            else:
                await self._end_disallowed(epochs)
            if self._found.is_set():
                for client in self._live:
                    client.beat(self._position)

    async def _end_disallowed(self, epochs: Epochs) -> None:
        for client in list(self._clients):
            try:
                allowed = await client.still_allowed(epochs)
            except Exception as error:  # noqa: BLE001 - one client's trouble must not keep the others unchecked
                _log.warning("event_stream_unchecked", principal=client.key, error=str(error))
                continue
            if not allowed:
                client.end()


def _encoded(event: RecordedEvent, encoded: dict[int, Message]) -> Message:
    if event.position not in encoded:
        encoded[event.position] = event_frame(event)
    return encoded[event.position]
