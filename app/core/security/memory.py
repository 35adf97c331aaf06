"""What a process remembers of credentials that it has verified: never longer than it holds."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from app.core.security.principals import Principal
from app.core.security.uses import Used

__all__ = ["Memory", "Verified"]

_MOST_KEPT: Final = 4_096
_LONGEST_SECONDS: Final = 300.0
"""What was not verified anew for so long is; it bounds what nobody raises an epoch for, as a JWT's withdrawn key."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A credential that is good ``until`` a moment of Unix time; ``used`` names the row that notes its use."""

    principal: Principal
    until: float
    used: Used | None = None


@dataclass(slots=True)
class _Remembered:
    verified: Verified
    epoch: int
    until: float


class Memory:
    """Verified credentials, by the bytes of the header that they were sent in. What was refused is not remembered.

    To be found here is a hash and a comparison of whole values: bytes that are nearly right are not nearer to it.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._kept: MutableMapping[bytes, _Remembered] = LRUCache(_MOST_KEPT)

    def put(self, raw: bytes, verified: Verified, epoch: int) -> None:
        """Remember what was verified after ``epoch`` was read."""
        self._kept[raw] = _Remembered(verified, epoch, min(verified.until, self._now() + _LONGEST_SECONDS))

    def get(self, raw: bytes, epoch: int) -> Verified | None:
        """What these bytes were verified as, if nothing has changed since."""
        kept = self._kept.get(raw)
        if kept is None:
            return None
        if kept.epoch != epoch or kept.until <= self._now():
            del self._kept[raw]
            return None
        return kept.verified
