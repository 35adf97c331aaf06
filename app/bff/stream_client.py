"""One reader of the event stream: what it wants, and what waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from app.core.epochs import Epochs
from app.core.events.event import DomainEvent
from app.core.events.event_log import RecordedEvent
from app.core.events.patterns import check_pattern, matches
from app.tds.types import OperationType

__all__ = ["EventFilter", "Message", "StreamClient", "event_frame", "frame"]

_SYNCED: Final = "tds.entity.synced"
_APPLIED: Final = frozenset(f"tds.entity.{one.value}" for one in OperationType)
_LARGEST_CHUNK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes for the wire; ``position`` is where the client stands once it has them."""

    position: int
    frame: bytes


def frame(event: str, position: int, data: object) -> bytes:
    """A message of the event stream format. JSON has no line breaks of its own, and types are words and dots."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (position, event.encode(), orjson.dumps(data))


def event_frame(recorded: RecordedEvent) -> Message:
    """A domain event as a message."""
    return Message(recorded.position, frame(recorded.event.event_type, recorded.position, recorded.event.as_dict()))


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a client wants: all conditions that are given must hold.

    Raises:
        PatternError: one of ``patterns`` is none.
    """

    patterns: tuple[str, ...] = ("*",)
    entity_type: str | None = None
    aggregate_id: str | None = None

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            check_pattern(pattern)

    def wants(self, event: DomainEvent) -> bool:
        """Whether the event is for this client."""
        if self.entity_type is not None and event.data.get("entity_type") != self.entity_type:
            return False
        if self.aggregate_id is not None and event.aggregate_id != self.aggregate_id:
            return False
        types = (event.event_type, _SYNCED) if event.event_type in _APPLIED else (event.event_type,)
        return any(matches(pattern, one) for pattern in self.patterns for one in types)


class StreamClient:
    """A bounded queue. Its owner takes; the hub puts, ends, and never waits.

    Args:
        key: whose it is, for the limit of clients of one principal.
        wanted: what is put at all.
        still_allowed: whether whoever opened the stream may still read it, asked at every heartbeat.
        limit: messages that may wait; more cut the client off.
    """

    def __init__(
        self, key: str, wanted: EventFilter, still_allowed: Callable[[Epochs], Awaitable[bool]], *, limit: int
    ) -> None:
        self.key = key
        self.wanted = wanted
        self.still_allowed = still_allowed
        self.position = 0
        self.ended = False
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many messages wait to be taken."""
        return len(self._waiting)

    def put(self, messages: Sequence[Message]) -> bool:
        """Queue what the client has not got yet; False: it is too far behind, and was ended."""
        for message in messages:
            if message.position > self.position:
                self._waiting.append(message.frame)
                self.position = message.position
        if len(self._waiting) > self._limit:
            self._waiting.clear()
            self.end()
            return False
        if self._waiting:
            self._news.set()
        return True

    def beat(self, position: int) -> None:
        """Queue a sign of life, and with it how far the log has got: the client need not resume from further back."""
        if self._waiting:
            return
        moved = b"id: %d\n" % position if position > self.position else b""
        self.position = max(self.position, position)
        self._waiting.append(b": heartbeat\n%s\n" % moved)
        self._news.set()

    def end(self) -> None:
        """Nothing more comes; what waits is still taken."""
        self.ended = True
        self._news.set()

    async def take(self) -> bytes | None:
        """All that waits, up to a chunk; None: it is over."""
        while not self._waiting:
            if self.ended:
                return None
            self._news.clear()
            await self._news.wait()
        taken: list[bytes] = []
        size = 0
        while self._waiting and size < _LARGEST_CHUNK:
            one = self._waiting.popleft()
            taken.append(one)
            size += len(one)
        return b"".join(taken)
