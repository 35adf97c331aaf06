"""Limits of the organisation: per minute, burst block, daily quota, concurrency. Independent of token and user."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final

from app.sandbox.zoho import times
from app.sandbox.zoho.answers import ZohoError, refusal
from app.sandbox.zoho.contract import Limits

__all__ = ["Budget"]

_MINUTE: Final = 60.0
_BLOCKED: Final = 43
_FAR_PAST: Final = float("-inf")


class Budget:
    """What has been used of the limits. ``clock`` counts seconds, ``today`` tells the wall clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, today: Callable[[], datetime] = times.now) -> None:
        self._clock = clock
        self._today = today
        self.in_flight = 0
        self.configure(Limits())

    def configure(self, limits: Limits) -> None:
        """Put limits in force and forget what was counted."""
        self.limits = limits
        self._calls: deque[float] = deque()
        self._blocked_until = _FAR_PAST
        self._day = self._today().date()
        self._used = limits.used_today

    def admit(self) -> ZohoError | None:
        """Count a call; the refusal it gets, if any. Refused calls count towards no limit."""
        now = self._clock()
        self._roll(now)
        error = self._refused(now)
        if error is None:
            self._used += 1
            self._calls.append(now)
        return error

    def retry_after(self, error: ZohoError) -> int | None:
        """The Retry-After of a refusal: always there for the burst block, else only if so configured."""
        if error.code == _BLOCKED:
            return max(1, round(self._blocked_until - self._clock()))
        return self.limits.retry_after

    def headers(self) -> dict[str, str]:
        """X-Rate-Limit-* of the daily quota; empty where they are not sent."""
        limit = self.limits.daily
        if limit is None or not self.limits.headers:
            return {}
        return {
            "X-Rate-Limit-Limit": str(limit),
            "X-Rate-Limit-Remaining": str(max(0, limit - self._used)),
            "X-Rate-Limit-Reset": str(times.seconds_to_midnight(self._today())),
        }

    def _roll(self, now: float) -> None:
        while self._calls and self._calls[0] <= now - _MINUTE:
            self._calls.popleft()
        if (day := self._today().date()) != self._day:
            self._day, self._used = day, 0

    def _refused(self, now: float) -> ZohoError | None:
        limits = self.limits
        if now < self._blocked_until:
            return refusal(_BLOCKED)
        if limits.burst is not None and len(self._calls) >= limits.burst:
            self._blocked_until = now + limits.block_seconds
            return refusal(_BLOCKED)
        if limits.per_minute is not None and len(self._calls) >= limits.per_minute:
            return refusal(44)
        if limits.daily is not None and self._used >= limits.daily:
            return refusal(45, limit=limits.daily)
        if limits.concurrency is not None and self.in_flight >= limits.concurrency:
            return refusal(1070)
        return None
