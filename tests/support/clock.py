"""A clock that is set by hand."""

from __future__ import annotations

__all__ = ["Clock"]


class Clock:
    """Seconds, which go by when a test says so."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """What it shows."""
        return self.now
