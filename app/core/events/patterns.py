"""Patterns of event types: an exact type, ``tds.*`` for all below ``tds`` at any depth, ``*`` for all."""

from __future__ import annotations

import re
from typing import Final

from app.core.errors import InvalidError

__all__ = ["PatternError", "check_pattern", "matches"]

_PATTERN: Final = re.compile(r"\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?")


class PatternError(InvalidError):
    """The pattern is none that events can be subscribed by."""

    def __init__(self, pattern: object) -> None:
        super().__init__(
            f"{pattern!r} is no event pattern: give an exact type (tds.entity.create), "
            "all below a word (tds.*, tds.entity.*), or * for every event"
        )


def check_pattern(pattern: object) -> str:
    """``pattern`` itself, if it is one.

    Raises:
        PatternError: it is not.
    """
    if not isinstance(pattern, str) or _PATTERN.fullmatch(pattern) is None:
        raise PatternError(pattern)
    return pattern


def matches(pattern: str, event_type: str) -> bool:
    """Whether a checked pattern covers a type. ``tds.*`` covers ``tds.entity.create`` but not ``tds``."""
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type
