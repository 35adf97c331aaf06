"""What the checks of one round look at, and what they find."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import UUID

import orjson

from app.sandbox.zoho.contract import Attempt, Delivery, Module
from app.sandbox.zoho.control import Records
from tests.faults.postgres import Connection

__all__ = ["ENTITY_OF", "Entity", "Evidence", "History", "Violation", "acknowledged"]

Entity: TypeAlias = tuple[str, str]
"""Entity type and the source's id."""

ENTITY_OF: Final[Mapping[Module, str]] = {"items": "product", "contacts": "customer"}
_ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that does not hold. ``entity`` is whose timeline tells more."""

    promise: str
    what: str
    entity: Entity | None = None


@dataclass(slots=True)
class History:
    """What is carried from round to round: the database is, too.

    ``rows`` are entities as the audit trail tells them: the known fields, or None once deleted.
    """

    invalid: set[bytes] = field(default_factory=set[bytes])
    rows: dict[tuple[str, str], dict[str, Any] | None] = field(
        default_factory=dict[tuple[str, str], "dict[str, Any] | None"]
    )
    position: int = 0
    audited: float = 0.0
    finished: dict[UUID, tuple[Any, ...]] = field(default_factory=dict[UUID, tuple[Any, ...]])
    dead_tuples: dict[str, int] = field(default_factory=dict[str, int])
    items: int = 0


@dataclass(slots=True)
class Evidence:
    """One round: what the source says it did, when the fault began and ended (epoch), and the database.

    ``workers`` are process ids by name. ``lateness`` is why the round did not come to rest, if it did not.
    ``recovery`` is filled in by its check.
    """

    connection: Connection
    deliveries: list[Delivery]
    records: Records
    made: Mapping[int, float]
    workers: Mapping[str, int]
    fault_began: float
    fault_ended: float
    rng: random.Random
    history: History
    lateness: str | None = None
    recovery: float | None = None


def acknowledged(attempt: Attempt) -> UUID | None:
    """The event's id if the receiver said 202."""
    if attempt.status != _ACCEPTED:
        return None
    return UUID(orjson.loads(attempt.answer)["event_id"])
