"""The event bus: tells this process's subscribers what happened, after it was committed.

Delivery is in memory: each subscriber gets its events in order, at most once, in a task of its own. What must reach a
subscriber across restarts is read from the event log (`app.core.events.event_log`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from itertools import islice
from typing import Final, TypeVar

from app.core.events.event import DomainEvent
from app.core.events.patterns import check_pattern
from app.core.events.subscriber import Handler, Subscriber, Subscription

__all__ = ["EventBus", "event_bus"]

H = TypeVar("H", bound=Handler)

_ROUTES_KEPT: Final = 1_024


class EventBus:
    """Subscriptions by pattern, a bounded history, and counters.

    A subscriber is a handler: subscribed by several patterns, it still gets each event once. A handler may be a plain
    or an async function; a plain one runs on the event loop and must not block. What a handler raises is counted and
    logged as ``event_handler_failed``, and touches neither the publisher nor another subscriber.

    Args:
        history: how many of the newest events are kept for ``get_event_history``.
    """

    def __init__(self, *, history: int = 1_000) -> None:
        self._subscribers: dict[Handler, Subscriber] = {}
        self._routes: dict[tuple[str, ...], tuple[Subscriber, ...]] = {}
        self._history: deque[DomainEvent] = deque(maxlen=history)
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def subscribe(self, pattern: str) -> Callable[[H], H]:
        """Decorator: call this handler for each event whose type the pattern covers.

        Patterns are an exact type, ``tds.*`` for all below ``tds`` at any depth, or ``*``.

        Raises:
            PatternError: it is no pattern.
        """
        checked = check_pattern(pattern)

        def add(handler: H) -> H:
            subscriber = self._subscribers.setdefault(handler, Subscriber(handler, self._progressed))
            subscriber.patterns[checked] = None
            self._routes.clear()
            return handler

        return add

    def unsubscribe(self, handler: Handler, pattern: str | None = None) -> None:
        """Take away one pattern of a handler, or the handler with all that still waits for it.

        A delivery under way goes on to its end. A handler that is not subscribed is left alone.
        """
        subscriber = self._subscribers.get(handler)
        if subscriber is None:
            return
        subscriber.patterns.pop(pattern or "", None)
        if pattern is None or not subscriber.patterns:
            del self._subscribers[handler]
            subscriber.drop()
        self._routes.clear()

    async def publish(self, event: DomainEvent) -> None:
        """Tell all subscribers; does not wait until they are done."""
        self.publish_nowait((event,))
        await asyncio.sleep(0)

    def publish_nowait(self, events: Iterable[DomainEvent]) -> None:
        """Tell all subscribers, from where nothing can be awaited, such as a commit hook.

        Without a running event loop the events wait for the next one in which something is published or drained.
        """
        for event in events:
            self._history.append(event)
            for subscriber in self._route(event.delivery_types):
                subscriber.accept(event)

    def get_event_history(self, limit: int | None = None) -> list[DomainEvent]:
        """The newest events published, newest first; at most ``limit``, and no more than the bus keeps."""
        return list(islice(reversed(self._history), None if limit is None else max(limit, 0)))

    def subscriptions(self) -> list[Subscription]:
        """Every subscriber with its patterns and counters, in the order of subscribing."""
        return [subscriber.status() for subscriber in self._subscribers.values()]

    async def drain(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - callers outside a task group too
        """Wait until all that was published so far has been delivered or has failed.

        Raises:
            TimeoutError: it took more than ``timeout`` seconds.
        """
        targets = [(subscriber, subscriber.accepted) for subscriber in self._subscribers.values()]
        await self._wait(lambda: all(one.finished >= accepted for one, accepted in targets), timeout)

    async def settle(self, max_pending: int, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as in drain
        """Backpressure: wait until no subscriber has more than ``max_pending`` events before it.

        Raises:
            TimeoutError: it took more than ``timeout`` seconds.
        """
        await self._wait(lambda: all(one.pending <= max_pending for one in self._subscribers.values()), timeout)

    def clear(self) -> None:
        """Forget subscribers, history and all that waits, and cancel deliveries under way."""
        for subscriber in self._subscribers.values():
            subscriber.cancel()
        self._subscribers.clear()
        self._routes.clear()
        self._history.clear()

    @contextmanager
    def isolated(self) -> Generator[EventBus]:
        """An empty bus for the length of the block; then subscribers and history are as they were before it."""
        subscribers, history = dict(self._subscribers), list(self._history)
        self._subscribers.clear()
        self._history.clear()
        self._routes.clear()
        try:
            yield self
        finally:
            self.clear()
            self._subscribers.update(subscribers)
            self._history.extend(history)

    def _route(self, types: tuple[str, ...]) -> tuple[Subscriber, ...]:
        route = self._routes.get(types)
        if route is None:
            if len(self._routes) >= _ROUTES_KEPT:
                self._routes.clear()
            route = tuple(one for one in self._subscribers.values() if one.wants(types))
            self._routes[types] = route
        return route

    async def _wait(self, reached: Callable[[], bool], timeout: float | None) -> None:  # noqa: ASYNC109 - as in drain
        for subscriber in self._subscribers.values():
            subscriber.wake()
        if reached():
            return
        waiter = (reached, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter[1]
        finally:
            self._waiters.remove(waiter)

    def _progressed(self) -> None:
        for reached, future in self._waiters:
            if not future.done() and reached():
                future.set_result(None)


event_bus: Final = EventBus()
"""The bus of this process."""
