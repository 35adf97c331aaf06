"""How often one principal may ask, in this process: one number each, however many requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from app.core.security.errors import TooManyRequestsError

__all__ = ["RateLimit"]

_MOST_KEPT: Final = 10_000
_ROUNDING: Final = 1e-9


class RateLimit:
    """So many requests a minute, and so many of them at once.

    For each key stands the moment at which its allowance would be whole again: a request moves it on by its share of a
    minute, and one that would move it beyond the burst is refused, which moves nothing. Whose allowance is whole is
    forgotten when there are many.
    """

    def __init__(self, per_minute: int, burst: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._share = 60.0 / per_minute
        self._reach = self._share * burst
        self._now = now
        self._whole_at: dict[str, float] = {}

    def take(self, key: str) -> None:
        """Count one request.

        Raises:
            TooManyRequestsError: the allowance is used up.
        """
        now = self._now()
        whole_at = max(self._whole_at.get(key, now), now) + self._share
        over = whole_at - now - self._reach
        if over > _ROUNDING:
            raise TooManyRequestsError("Too many requests with this token: wait a moment.", retry_after=over)
        if len(self._whole_at) >= _MOST_KEPT:
            self._whole_at = {one: moment for one, moment in self._whole_at.items() if moment > now}
        self._whole_at[key] = whole_at
