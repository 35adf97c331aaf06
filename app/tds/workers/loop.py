"""The one loop behind every part of a worker process: work while there is work, else wait for a bell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import random

from app.core.telemetry import get_logger

__all__ = ["Loop"]

_log = get_logger(__name__)
_LONGEST_PAUSE = 5.0
_QUIETER = 5.0


@dataclass(slots=True)
class Loop:
    """Calls ``step`` again and again until ``stop`` is set.

    ``step`` returns whether it found work. After work it is called at once; otherwise when ``bell`` rings or
    ``idle_seconds`` have passed: up to five times as much while nothing comes and ``hearing`` says that bells of
    other processes are heard, so that an idle process asks the database little. An error is logged and the loop goes
    on after a pause that grows to five seconds.
    """

    name: str
    step: Callable[[], Awaitable[bool]]
    stop: asyncio.Event
    idle_seconds: float
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    hearing: Callable[[], bool] = lambda: False
    failures: int = 0
    _idle: int = 0

    async def run(self) -> None:
        """Loop until told to stop; the step in progress is finished first."""
        while not self.stop.is_set():
            self.bell.clear()
            try:
                worked = await self.step()
                self.failures = 0
            except Exception:  # noqa: BLE001 - whatever it is, a loop that ends is a sync that stops silently
                self.failures += 1
                _log.exception("loop_failed", loop=self.name, failures=self.failures)
                await self._rest(min(_LONGEST_PAUSE, 0.1 * 2.0**self.failures) * (0.5 + random()))  # noqa: S311 - spreading load
                continue
            self._idle = 0 if worked else self._idle + 1
            if not worked:
                await self._rest(self._idle_pause(), self.bell)

    def _idle_pause(self) -> float:
        return self.idle_seconds * (min(_QUIETER, 2.0 ** min(self._idle - 1, 10)) if self.hearing() else 1.0)

    async def _rest(self, seconds: float, bell: asyncio.Event | None = None) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self.stop, bell) if event is not None]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
                with suppress(asyncio.CancelledError):
                    await wait
