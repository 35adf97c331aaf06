"""The pipeline's statements, one a file: its header says what it locks and which index it needs.

Binds are ``:name`` and reach the server untyped, so every statement casts them itself: no driver guess
can change a plan. Batches travel as arrays or as one JSON object keyed by id, so that a statement's text,
and its plan, are the same for one item and for a thousand.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from sqlalchemy import TextClause, text

__all__ = ["statement"]


@cache
def statement(name: str) -> TextClause:
    """The statement in ``<name>.sql``."""
    return text(files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8"))
