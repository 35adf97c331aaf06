"""The load generator's process. Usage: ``python -m benchmarks.generator PLAN RESULT``, two files of `benchmarks.load`.

It prints one line when it begins, and writes the result when it is done.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop

from app.cli.lifeline import end_with_parent
from benchmarks.load import Load, Outcome

__all__ = ["Connection", "Driver", "answer_length"]

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_BODILESS: Final = (204, 304)
_GRACE_SECONDS: Final = 60.0
clock = time.monotonic


class AnswerError(Exception):
    """The server's answer cannot be read: it has no length."""


def answer_length(received: bytes) -> tuple[int, int] | None:
    """Status and length in bytes of the first answer in ``received``; None while its head is not complete.

    Raises:
        AnswerError: it has a body and does not say how long.
    """
    end = received.find(_END)
    if end < 0:
        return None
    status = int(received[9:12])
    if status in _BODILESS:
        return status, end + 4
    start = received.find(_LENGTH, 0, end)
    if start < 0:
        start = received[:end].lower().find(_LENGTH)
    if start < 0:
        raise AnswerError(f"an answer without Content-Length: {received[:end]!r}")
    stop = received.find(b"\r", start)
    return status, end + 4 + int(received[start + len(_LENGTH) : stop])


class Connection(asyncio.Protocol):
    """One kept connection with at most one request under way."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self.under_way: tuple[int, float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)  # TCP has no other kind

    def send(self, number: int, request: bytes, since: float) -> None:
        """Send request ``number``; its time counts from ``since``."""
        assert self._transport is not None  # noqa: S101 - a connection is handed out once it is made
        self.under_way = (number, since)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Part of an answer, or all of it."""
        received = self._received + data if self._received else data
        found = answer_length(received)
        if found is None or len(received) < found[1]:
            self._received = received
            return
        self._received = b""
        assert self.under_way is not None  # noqa: S101 - an answer follows a request
        (number, since), self.under_way = self.under_way, None
        self._driver.answered(self, number, since, found[0], received)

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by either side."""
        del exc
        self._driver.lost(self)

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()


class Driver:
    """Sends a load and notes what came of it."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.outcome = Outcome(
            began=0,
            ended=0,
            due=[],
            latencies=[],
            late=[],
            statuses={},
            bodies=[],
            bursts=[],
            resent=0,
            cpu_seconds=0,
        )
        self.when_answered: Callable[[Connection], None] = self._rest
        self.idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._waiting = 0
        self._quiet = asyncio.Event()
        self._by_number: dict[int, float] = {}
        self._closing = False
        self._connecting: set[asyncio.Task[None]] = set()

    async def run(self) -> Outcome:
        """Send everything."""
        if self.load.rate is None:
            await self._connect(self.load.connections)
        cpu, self.outcome.began = time.process_time(), clock()
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        if self.load.rate is not None:
            await self._scheduled(self.load.rate)
        elif self.load.burst is not None:
            await self._bursts(self.load.burst)
        else:
            await self._closed(len(self.load.requests))
        self.outcome.cpu_seconds = time.process_time() - cpu
        self._closing = True
        for connection in list(self._open):
            connection.close()
        if self._by_number:
            self.outcome.latencies = [self._by_number[number] for number in sorted(self._by_number)]
        return self.outcome

    async def _connect(self, total: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(total):
            _, connection = await loop.create_connection(lambda: Connection(self), self.load.host, self.load.port)
            self._open.add(connection)
            self.idle.append(connection)

    # ------------------------------------------------------------------------------- what connections tell

    def answered(self, connection: Connection, number: int, since: float, status: int, received: bytes) -> None:
        """An answer has come."""
        now, outcome = clock(), self.outcome
        if self.load.rate is None:
            outcome.latencies.append(now - since)
        else:
            self._by_number[number] = now - since
        outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
        outcome.ended = now
        if self.load.keep_bodies:
            outcome.bodies.append(received[received.find(_END) + 4 :])
        self.when_answered(connection)
        self._settle(1)

    def lost(self, connection: Connection) -> None:
        """A connection is gone; what was under way on it is sent again on another."""
        self._open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if connection.under_way is not None and not self._closing:
            number, since = connection.under_way
            self.outcome.resent += 1
            self._send_later(number, since)

    def _rest(self, connection: Connection) -> None:
        self.idle.append(connection)

    def _expect(self, total: int) -> None:
        self._waiting += total
        self._quiet.clear()

    def _settle(self, total: int) -> None:
        self._waiting -= total
        if self._waiting <= 0:
            self._quiet.set()

    async def _settled(self) -> None:
        async with asyncio.timeout(_GRACE_SECONDS + (self.load.seconds or 0)):
            await self._quiet.wait()

    # ---------------------------------------------------------------------------------------- ways to send

    async def _closed(self, total: int) -> None:
        """Every connection sends as soon as it has its answer."""
        requests, deadline = self.load.requests, None
        if self.load.seconds is not None:
            deadline = clock() + self.load.seconds
        sent = 0

        def follow(connection: Connection) -> None:
            nonlocal sent
            now = clock()
            if now >= deadline if deadline is not None else sent >= total:
                return
            self._expect(1)
            connection.send(sent, requests[sent % total], now)
            sent += 1

        self.when_answered = follow
        connections, self.idle = list(self.idle), deque()
        for connection in connections:
            follow(connection)
        await self._settled()

    async def _bursts(self, size: int) -> None:
        """So many at a time: all are due at once, whatever the number of connections."""
        requests = self.load.requests
        for first in range(0, len(requests), size):
            burst = deque(range(first, min(first + size, len(requests))))
            self._expect(len(burst))
            since = clock()

            def follow(connection: Connection, burst: deque[int] = burst, since: float = since) -> None:
                if burst:
                    number = burst.popleft()
                    connection.send(number, requests[number], since)
                else:
                    self.idle.append(connection)

            self.when_answered = follow
            connections, self.idle = list(self.idle), deque()
            for connection in connections:
                follow(connection)
            await self._settled()
            self.outcome.bursts.append(clock() - since)
            await asyncio.sleep(self.load.pause)

    async def _scheduled(self, rate: float) -> None:
        """At fixed times; a request that cannot leave in time counts from when it was due."""
        total = len(self.load.requests)
        self._expect(total)
        first = self.outcome.began + 0.1
        for number in range(total):
            due = first + number / rate
            while (ahead := due - clock()) > 0:  # noqa: ASYNC110 - what it waits for is the time
                await asyncio.sleep(ahead)
            self.outcome.due.append(due)
            self.outcome.late.append(clock() - due)
            if self.idle:
                self.idle.pop().send(number, self.load.requests[number], due)
            else:
                self._send_later(number, due)
        await self._settled()

    def _send_later(self, number: int, since: float) -> None:
        task = asyncio.get_running_loop().create_task(self._send_on_new(number, since))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _send_on_new(self, number: int, since: float) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), self.load.host, self.load.port)
        self._open.add(connection)
        connection.send(number, self.load.requests[number % len(self.load.requests)], since)


def _main(plan: str, result: str) -> None:
    load = msgspec.msgpack.decode(Path(plan).read_bytes(), type=Load)
    outcome = uvloop.run(Driver(load).run())
    Path(result).write_bytes(msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    end_with_parent()
    _main(*sys.argv[1:])
