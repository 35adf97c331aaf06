"""What is recorded of who may do what. The audit trail belongs to a module above: it is handed in."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["AccessChange", "RecordAccess"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChange:
    """A token or a session that was made, or changed; ``before`` is None for what is new, ``after`` for what ended."""

    what: Literal["api_token", "browser_session"]
    which: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    actor: str


class RecordAccess(Protocol):
    """Writes a change into the audit trail, in the session's transaction."""

    def __call__(self, session: AsyncSession, change: AccessChange, /) -> Awaitable[None]:
        """Write it."""
        ...
