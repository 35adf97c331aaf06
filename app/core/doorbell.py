"""Wake whoever waits for work: at once in this process, by NOTIFY in others.

A bell is a hint. Whoever waits also looks from time to time, so a lost bell costs a moment and never an item.
NOTIFY is sent on its own, after the commit it tells of, and at most every ``_EVERY`` seconds for each bell:
inside the writing transactions it would make their commits wait for each other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Final

from sqlalchemy import text

from app.core.database import Database
from app.core.telemetry import get_logger

__all__ = ["Doorbell"]

_log = get_logger(__name__)
_CHANNEL: Final = "tds_work"
_EVERY: Final = 0.05
_RECONNECT: Final = 2.0
_PROBE_SECONDS: Final = 30.0
_NOTIFY: Final = text("SELECT pg_notify(:channel, :bell)")


class Doorbell:
    """Bells by name. ``ring`` is cheap and never waits. ``listening``: other processes' bells are heard now."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._notifying: dict[str, asyncio.Task[None]] = {}
        self.listening = False

    def subscribe(self, *bells: str) -> asyncio.Event:
        """An event that is set whenever one of the bells rings; its owner clears it."""
        event = asyncio.Event()
        for bell in bells:
            self._listeners[bell].add(event)
        return event

    def unsubscribe(self, bell: str, event: asyncio.Event) -> None:
        """Stop setting this event."""
        self._listeners[bell].discard(event)

    def ring(self, bell: str) -> None:
        """Wake those who wait for this bell, here and in other processes."""
        self.wake(bell)
        if bell not in self._notifying:
            self._notifying[bell] = asyncio.get_running_loop().create_task(self._notify(bell))

    def wake(self, bell: str) -> None:
        """Wake those who wait for this bell in this process."""
        for event in self._listeners[bell]:
            event.set()

    async def _notify(self, bell: str) -> None:
        try:
            async with self._database.engine.begin() as connection:
                await connection.execute(_NOTIFY, {"channel": _CHANNEL, "bell": bell})
            await asyncio.sleep(_EVERY)
        except Exception as error:  # noqa: BLE001 - a bell is a hint: whatever keeps it from being sent, nobody waits
            _log.warning("doorbell_unsent", bell=bell, error=str(error))
        finally:
            del self._notifying[bell]

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
            self.listening = True
            for bell in list(self._listeners):  # whatever was rung before is not heard any more
                self.wake(bell)
            try:
                while not ended.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(ended.wait(), _PROBE_SECONDS)
                    if not ended.is_set():  # a connection may fall silent without an end
                        await driver.execute("SELECT 1", timeout=_PROBE_SECONDS)
            finally:
                self.listening = False
                with suppress(Exception):
                    await driver.remove_listener(_CHANNEL, self._heard)
                await connection.invalidate()

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        del connection, pid, channel
        self.wake(str(payload))

    async def close(self) -> None:
        """Let bells that are being sent be sent."""
        await asyncio.gather(*self._notifying.values(), return_exceptions=True)
