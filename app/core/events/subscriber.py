"""One subscriber of the bus: its patterns, its waiting events, and the task that delivers them in order."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from structlog.contextvars import bind_contextvars, clear_contextvars

from app.core.events.event import DomainEvent
from app.core.events.patterns import matches
from app.core.telemetry import get_logger

__all__ = ["Handler", "Subscriber", "Subscription"]

Handler: TypeAlias = Callable[[Any], object]
"""Takes an event; what it returns is awaited if it can be."""

_log = get_logger(__name__)

_BURST: Final = 16
"""Deliveries before other tasks get their turn, where a handler itself never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """How a subscriber stands: events delivered, events its handler failed on, events not yet finished."""

    name: str
    patterns: tuple[str, ...]
    delivered: int
    failed: int
    pending: int


class Subscriber:
    """A handler with a queue of its own, so that neither its errors nor its slowness touch another.

    Its task exists only while events wait: it belongs to the event loop that was running then, and another loop can
    take over what a closed one left behind. Use from one thread at a time.
    """

    def __init__(self, handler: Handler, on_progress: Callable[[], None]) -> None:
        self.name = _name_of(handler)
        self.handler = handler
        self.patterns: dict[str, None] = {}
        self.accepted = 0
        self._delivered = 0
        self._failed = 0
        self._dropped = 0
        self._in_flight = 0
        self._queue: deque[DomainEvent] = deque()
        self._task: asyncio.Task[None] | None = None
        self._on_progress = on_progress

    @property
    def finished(self) -> int:
        """How many of the accepted events need nothing more."""
        return self._delivered + self._failed + self._dropped

    @property
    def pending(self) -> int:
        """How many of the accepted events wait or are being handled."""
        return self.accepted - self.finished

    def status(self) -> Subscription:
        """The counters of this moment."""
        return Subscription(
            name=self.name,
            patterns=tuple(self.patterns),
            delivered=self._delivered,
            failed=self._failed,
            pending=self.pending,
        )

    def wants(self, types: tuple[str, ...]) -> bool:
        """Whether one of its patterns covers one of the types."""
        return any(matches(pattern, event_type) for pattern in self.patterns for event_type in types)

    def accept(self, event: DomainEvent) -> None:
        """Queue an event and see to its delivery."""
        self.accepted += 1
        self._queue.append(event)
        self.wake()

    def wake(self) -> None:
        """Start delivering what waits. Without a running loop it goes on waiting for one."""
        if not self._queue or self._is_served():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._failed += self._in_flight  # a loop was closed in the middle of it
        self._in_flight = 0
        # A context of its own: what the publisher bound belongs to the publisher.
        self._task = loop.create_task(self._run(), name=f"events:{self.name}", context=Context())

    def drop(self) -> None:
        """Forget what waits; a delivery under way goes on to its end."""
        self._dropped += len(self._queue)
        self._queue.clear()
        self._on_progress()

    def cancel(self) -> None:
        """Forget what waits and cancel the delivery under way."""
        self.drop()
        if self._task is not None and self._is_served():
            self._task.cancel()

    def _is_served(self) -> bool:
        return self._task is not None and not self._task.done() and self._task.get_loop().is_running()

    async def _run(self) -> None:
        since_pause = 0
        while self._queue:
            await self._deliver(self._queue.popleft())
            since_pause += 1
            if since_pause == _BURST:
                since_pause = 0
                await asyncio.sleep(0)

    async def _deliver(self, event: DomainEvent) -> None:
        self._in_flight = 1
        clear_contextvars()
        bind_contextvars(event_id=str(event.event_id), event_type=event.event_type, correlation_id=event.correlation_id)
        try:
            result = self.handler(event)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            self._fail(event)
            if _is_being_cancelled():
                raise
        except Exception:  # noqa: BLE001 - whatever a handler raises is counted and logged, and stops nobody else
            self._fail(event)
        else:
            self._delivered += 1
        finally:
            self._in_flight = 0
            self._on_progress()

    def _fail(self, event: DomainEvent) -> None:
        self._failed += 1
        _log.exception(
            "event_handler_failed",
            subscriber=self.name,
            event_id=str(event.event_id),
            event_type=event.event_type,
            correlation_id=event.correlation_id,
        )


def _name_of(handler: Handler) -> str:
    """``module.function``; an object that is called goes by its class."""
    named: Any = handler if hasattr(handler, "__qualname__") else type(handler)
    return f"{named.__module__}.{named.__qualname__}"


def _is_being_cancelled() -> bool:
    """Whether the task itself is to end, rather than something that its handler waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
