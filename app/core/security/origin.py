"""From where somebody acts: an address and a credential, or the command line; it stands in the audit trail."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["acting_from", "origin"]

origin: Final[ContextVar[str | None]] = ContextVar("tds_origin", default=None)
"""Read by whoever records what a person does; None where no person acts."""


@contextmanager
def acting_from(place: str) -> Generator[None]:
    """Act from ``place`` within the block."""
    before = origin.set(place)
    try:
        yield
    finally:
        origin.reset(before)
