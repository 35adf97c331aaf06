"""Delivers webhooks in the background, with retries, and keeps a log of every try.

Webhooks of one record go out in their order unless a switch says otherwise; those of different records side by side.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final, Literal

import httpx2

from app.sandbox.zoho import times
from app.sandbox.zoho.contract import Attempt, Delivery, SendSwitches, WebhookCounts, WebhookRules
from app.sandbox.zoho.messages import Message, compose, draw_switches
from app.sandbox.zoho.signature import SIGNATURE_HEADER

if TYPE_CHECKING:
    from app.sandbox.zoho.chance import Chance

__all__ = ["Dispatcher"]

_LOGGED: Final = 20_000
_ANSWER_KEPT: Final = 300


class Dispatcher:
    """The sending side. Needs a running event loop once a URL is set; ``aclose`` ends what is under way."""

    def __init__(self, rules: WebhookRules, rng: Chance) -> None:
        self.rules = rules
        self.log: deque[Delivery] = deque(maxlen=_LOGGED)
        self._rng = rng
        self._number = 0
        self._ended: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._order: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, list[tuple[int, asyncio.Event]]] = {}
        self._slots = asyncio.Semaphore(rules.concurrency)
        self._client: httpx2.AsyncClient | None = None

    def configure(self, rules: WebhookRules) -> None:
        """Put rules in force for webhooks announced from now on."""
        self.rules = rules
        self._slots = asyncio.Semaphore(rules.concurrency)

    def announce(self, message: Message, send: SendSwitches | None = None) -> list[int]:
        """Queue the webhook of a change; the ids of its deliveries, none while no URL is set."""
        if self.rules.url is None:
            return []
        send = send or self.rules.send
        switches = draw_switches(send, self._rng)
        copies = 2 if "duplicate" in switches else 1
        return [self._queue(message, switches, send.delay_seconds) for _ in range(copies)]

    def counts(self) -> WebhookCounts:
        """Deliveries by how they ended."""
        ended = self._ended
        return WebhookCounts(
            pending=len(self._tasks),
            delivered=ended["delivered"],
            failed=ended["failed"],
            dropped=ended["dropped"],
        )

    async def settle(self, timeout: float) -> int:  # noqa: ASYNC109 - the caller's budget; running out is an answer
        """Wait until none is pending; how many still are when the time is up."""
        deadline = time.monotonic() + timeout
        while self._tasks and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
            await asyncio.sleep(0)
        return len(self._tasks)

    async def aclose(self) -> None:
        """Cancel what is under way and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _queue(self, message: Message, switches: list[str], delay: float) -> int:
        self._number += 1
        delivery = compose(self._number, message, self.rules, switches)
        self.log.append(delivery)
        if "drop" in switches:
            self._finish(delivery, "dropped")
            return delivery.id
        ordered = "delay" not in switches and "reorder" not in switches
        before = self._order.get(delivery.record_id) if ordered else None
        task = asyncio.create_task(self._run(delivery, before, delay if "delay" in switches else 0))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if ordered:
            self._remember_order(delivery.record_id, task)
        return delivery.id

    def _remember_order(self, record_id: str, task: asyncio.Task[None]) -> None:
        self._order[record_id] = task

        def forget(done: asyncio.Task[None]) -> None:
            if self._order.get(record_id) is done:
                del self._order[record_id]

        task.add_done_callback(forget)

    async def _run(self, delivery: Delivery, before: asyncio.Task[None] | None, delay: float) -> None:
        if before is not None:
            await asyncio.wait([before])
        await asyncio.sleep(delay)
        if "reorder" in delivery.switches:
            await self._hold(delivery)
        delivered = await self._try_all(delivery, self.rules)
        self._finish(delivery, "delivered" if delivered else "failed")
        self._release_earlier(delivery)

    async def _hold(self, delivery: Delivery) -> None:
        gate = asyncio.Event()
        self._held.setdefault(delivery.record_id, []).append((delivery.id, gate))
        try:
            async with asyncio.timeout(self.rules.hold_seconds):
                await gate.wait()
        except TimeoutError:
            self._release_earlier(delivery, itself=True)

    def _release_earlier(self, delivery: Delivery, *, itself: bool = False) -> None:
        last = delivery.id if itself else delivery.id - 1
        held = self._held.pop(delivery.record_id, [])
        for number, gate in held:
            if number <= last:
                gate.set()
        if later := [entry for entry in held if entry[0] > last]:
            self._held[delivery.record_id] = later

    async def _try_all(self, delivery: Delivery, rules: WebhookRules) -> bool:
        for tried in range(rules.max_attempts):
            if tried:
                await asyncio.sleep(rules.retry_seconds * 2 ** (tried - 1))
            async with self._slots:
                attempt = await self._try(delivery, rules)
            delivery.attempts.append(attempt)
            if attempt.status is not None and httpx2.codes.is_success(attempt.status):
                return True
        return False

    async def _try(self, delivery: Delivery, rules: WebhookRules) -> Attempt:
        headers = {"Content-Type": delivery.content_type}
        if delivery.signature is not None:
            headers[SIGNATURE_HEADER] = delivery.signature
        attempt = Attempt(at=times.stamp(times.now()), seconds=0)
        started = time.monotonic()
        try:
            answer = await self._http().post(
                delivery.url, content=delivery.body.encode(), headers=headers, timeout=rules.timeout_seconds
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            attempt.error = f"{type(error).__name__}: {error}"
        else:
            attempt.status, attempt.answer = answer.status_code, answer.text[:_ANSWER_KEPT]
        attempt.seconds = round(time.monotonic() - started, 4)
        return attempt

    def _http(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(trust_env=False, headers={"User-Agent": "ZohoSandbox/1.0"})
        return self._client

    def _finish(self, delivery: Delivery, state: Literal["delivered", "failed", "dropped"]) -> None:
        self._ended[state] += 1
        delivery.state = state
