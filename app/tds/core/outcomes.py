"""How one attempt ended, as a value: whoever applies decides, one writer persists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

from app.tds.core.errors import FieldError, storable
from app.tds.documents import Document
from app.tds.types import OperationType, Outcome

__all__ = ["ClaimedItem", "Dead", "Defer", "Done", "End", "GiveBack", "Retry"]


class ClaimedItem(Struct, frozen=True, gc=False):
    """A queue item under lease, in the order of the columns that the claim returns; ``document`` is what ``payload``
    holds, where this process has just mapped it itself.
    """

    id: UUID
    lease_token: int
    source: str
    entity_type: str
    source_entity_id: str
    operation_type: OperationType
    payload: str
    version_time: datetime | None
    arrival: int
    received_at: datetime
    attempts: int
    lease_losses: int
    inbox_event_id: UUID | None
    run_id: UUID | None
    dead_letter_id: UUID | None
    priority: int
    trace_id: str | None
    deferrals: int
    paused: bool
    document: Document | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """The ledger's key."""
        return (self.source, self.entity_type, self.source_entity_id)


class Done(Struct, frozen=True, gc=False):
    """It is settled; ``target_entity_id`` is the local id, where there is one."""

    outcome: Outcome
    target_entity_id: str | None = None


class _Reasoned:
    """An end that says why, in texts that a database can hold, whatever an error's message quotes."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for name in ("code", "reason", "stack"):
            if isinstance(text := getattr(self, name, None), str):
                object.__setattr__(self, name, storable(text))


@dataclass(frozen=True, slots=True)
class Retry(_Reasoned):
    """It failed and is tried again at ``at``; an attempt is spent."""

    at: datetime
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Defer(_Reasoned):
    """It could not be tried yet; no attempt is spent. ``waits_for`` wakes it before ``until``."""

    until: datetime
    code: str
    reason: str
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class Dead(_Reasoned):
    """It is given up. ``spent`` is 1 where this was an attempt of the handler's."""

    code: str
    reason: str
    errors: Sequence[FieldError] = field(default_factory=tuple)
    stack: str | None = None
    spent: int = 1


@dataclass(frozen=True, slots=True)
class GiveBack:
    """It was not tried: another claim will."""


End: TypeAlias = Done | Retry | Defer | Dead | GiveBack
