"""The pipeline's statements, one a file: its header says what it locks and which index it needs.

Binds are ``:name`` and reach the server untyped, so every statement casts them itself: no driver guess
can change a plan. Batches travel as arrays or as one JSON object keyed by id, so that a statement's text,
and its plan, are the same for one item and for a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TypeVar

from sqlalchemy import TextClause, text

__all__ = ["column", "statement"]

T = TypeVar("T")


@cache
def statement(name: str) -> TextClause:
    """The statement in ``<name>.sql``."""
    return text(files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8"))


def column(values: Sequence[T | None]) -> Sequence[T | None] | None:
    """A parameter for ``unnest``; None where no row has a value, which is the same to it, and costs nothing to send."""
    return None if all(value is None for value in values) else values
