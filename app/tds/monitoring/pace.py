"""When something is due again: the longer it takes, the more seldom."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic

__all__ = ["Pace"]


class Pace:
    """Every ``seconds``, and more seldom if it takes long: at most one part in ``rest`` of the time is spent on it.

    What takes no longer than ``quick`` seconds needs no rest. ``clock`` is in seconds.
    """

    def __init__(
        self, *, seconds: float = 0.0, rest: float, quick: float = 0.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._seconds = seconds
        self._rest = rest
        self._quick = quick
        self._clock = clock
        self._next = float("-inf")

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return self._clock() >= self._next

    @contextmanager
    def taking(self) -> Generator[None]:
        """Around the work: it is timed. What fails is due again after ``seconds``."""
        begun = self._clock()
        self._next = begun + self._seconds
        yield
        took = self._clock() - begun
        if took > self._quick:
            self._next = begun + max(self._seconds, took * self._rest)
