"""Wake whoever waits for work: at once in this process, by NOTIFY in others.

A bell is a hint. Whoever waits also looks from time to time, so a lost bell costs a moment and never an item.
NOTIFY is sent on its own, after the commit it tells of: inside the writing transactions it would make their commits
wait for each other. The first ring is sent at once, those that follow within a moment together, at its end.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Any, Final

import asyncpg

from app.core.database import Database
from app.core.telemetry import get_logger

__all__ = ["Doorbell"]

_log = get_logger(__name__)
_CHANNEL: Final = "tds_work"
_PAUSE: Final = 0.005
_SEND_SECONDS: Final = 2.0
_RECONNECT: Final = 2.0
_PROBE_SECONDS: Final = 30.0
_NOTIFY: Final = "SELECT pg_notify($1, $2)"


class Doorbell:
    """Bells by name. ``ring`` is cheap and never waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._notifying: dict[str, asyncio.Task[None]] = {}
        self._rung: set[str] = set()
        self._line: asyncpg.Connection[Any] | None = None
        self._in_use = asyncio.Lock()

    @property
    def listening(self) -> bool:
        """Whether other processes' bells are heard now."""
        return self._line is not None

    def subscribe(self, *bells: str) -> asyncio.Event:
        """An event that is set whenever one of the bells rings; its owner clears it."""
        event = asyncio.Event()
        for bell in bells:
            self._listeners[bell].add(event)
        return event

    def unsubscribe(self, bell: str, event: asyncio.Event) -> None:
        """Stop setting this event."""
        self._listeners[bell].discard(event)

    def ring(self, bell: str, *, pause: float = _PAUSE) -> None:
        """Wake those who wait for this bell, here at once and in other processes at most every ``pause`` seconds."""
        self.wake(bell)
        self._rung.add(bell)
        if bell not in self._notifying:
            self._notifying[bell] = asyncio.get_running_loop().create_task(self._notify(bell, pause))

    def wake(self, bell: str) -> None:
        """Wake those who wait for this bell in this process."""
        for event in self._listeners[bell]:
            event.set()

    async def _notify(self, bell: str, pause: float) -> None:
        try:
            while bell in self._rung:
                self._rung.discard(bell)
                await self._send(bell)
                await asyncio.sleep(pause)
        except Exception as error:  # noqa: BLE001 - a bell is a hint: whatever keeps it from being sent, nobody waits
            _log.warning("doorbell_unsent", bell=bell, error=str(error))
        finally:
            del self._notifying[bell]

    async def _send(self, bell: str) -> None:
        """By the connection that listens, if there is one: it is at hand, and needs no transaction."""
        async with self._in_use:
            if self._line is not None:
                await self._line.fetch(_NOTIFY, _CHANNEL, bell, timeout=_SEND_SECONDS)
                return
        async with self._database.engine.begin() as connection:
            await connection.exec_driver_sql(_NOTIFY, (_CHANNEL, bell))

    async def listen(self) -> None:
        """Wake this process's waiters when another process rings, until cancelled; reconnects by itself."""
        while True:
            try:
                await self._listen_once()
            except Exception as error:  # noqa: BLE001 - LISTEN is the driver's own: its errors come up unwrapped
                _log.warning("doorbell_unheard", error=str(error))
            await asyncio.sleep(_RECONNECT)

    async def _listen_once(self) -> None:
        ended = asyncio.Event()
        async with self._database.unpooled.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None  # noqa: S101 - an open connection has one

            def end(connection: object) -> None:
                del connection
                ended.set()

            driver.add_termination_listener(end)
            await driver.add_listener(_CHANNEL, self._heard)
            self._line = driver
            for bell in list(self._listeners):  # whatever was rung before is not heard any more
                self.wake(bell)
            try:
                while not ended.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(ended.wait(), _PROBE_SECONDS)
                    if not ended.is_set():  # a connection may fall silent without an end
                        async with self._in_use:
                            await driver.execute("SELECT 1", timeout=_PROBE_SECONDS)
            finally:
                self._line = None
                with suppress(Exception):
                    await driver.remove_listener(_CHANNEL, self._heard)
                await connection.invalidate()

    def _heard(self, connection: asyncpg.Connection[Any], pid: int, channel: str, payload: object) -> None:
        del channel
        if pid != connection.get_server_pid():  # those here were woken when it rang
            self.wake(str(payload))

    async def close(self) -> None:
        """Let bells that are being sent be sent."""
        await asyncio.gather(*self._notifying.values(), return_exceptions=True)
