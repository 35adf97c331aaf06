"""What the core asks of the world: sources that produce changes, targets that take them.

Met by shape: a source or a target inherits from nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from app.tds.core.errors import FieldError
from app.tds.documents import Document
from app.tds.types import EntityType, OperationType, Outcome

__all__ = [
    "Applied",
    "Assignment",
    "Change",
    "Delivery",
    "Page",
    "RawRecord",
    "Rejected",
    "Source",
    "StoredEvent",
    "Target",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A webhook as it arrived: raw bytes, lower-cased header names, query pairs in order, decoded."""

    body: bytes
    headers: Mapping[str, str]
    query: Sequence[tuple[str, str]] = ()


class RawRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One change as its source told it, before anybody understood it."""

    body: bytes
    entity_type: str | None = None
    source_entity_id: str | None = None
    operation: OperationType | None = None


class StoredEvent(Struct, frozen=True, kw_only=True, gc=False):
    """An inbox row, as a mapping sees it. The three hints are what the receipt already knew."""

    body: bytes
    headers: Mapping[str, str]
    entity_type: str | None
    source_entity_id: str | None
    operation: OperationType | None


class Change(Struct, frozen=True, kw_only=True, gc=False):
    """A change understood: ``payload`` is a canonical document in JSON, holding only the fields that
    its source knows; ``b"{}"`` for a delete. ``version_time`` is the source's modification time, if told.
    ``document`` may be given beside its JSON: whoever applies the change at once need not parse it again.
    """

    entity_type: EntityType
    source_entity_id: str
    operation: OperationType
    payload: bytes
    version_time: datetime | None
    document: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a poll. ``checkpoint`` is what ``pages`` needs to go on *after* this page;
    ``watermark`` the newest modification time seen in the poll so far.
    """

    records: Sequence[RawRecord]
    checkpoint: Mapping[str, Any]
    watermark: datetime | None
    last: bool


class Source(Protocol):
    """A system whose changes TDS follows."""

    @property
    def name(self) -> str:
        """The connection's name, as it stands in every table."""
        ...

    @property
    def entity_types(self) -> frozenset[EntityType]:
        """What can be polled."""
        ...

    def receive(self, delivery: Delivery) -> RawRecord:
        """Check that a delivery is genuine and note what can be told without parsing it.

        Raises:
            SourceDisabledError: no webhook secret is configured.
            SignatureError: unsigned or wrongly signed.
        """
        ...

    def map(self, event: StoredEvent) -> Change:
        """Make a change of a stored event. Pure: no input or output.

        Raises:
            MappingError: it cannot be understood; every reason is named by field.
        """
        ...

    def pages(
        self, entity_type: EntityType, *, since: datetime | None, checkpoint: Mapping[str, Any] | None
    ) -> AsyncIterator[Page]:
        """Read an entity: all of it, or what changed since ``since`` (with an overlap), from ``checkpoint`` on."""
        ...

    async def fetch(self, entity_type: EntityType, source_entity_id: str) -> RawRecord | None:
        """Read one record, whole; None if the source has none of that id."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Assignment(Struct, frozen=True, kw_only=True, gc=False):
    """One entity's newest change, on its way to a target. ``document`` is None for a delete; ``local_id``
    is None where the entity was never applied. ``references`` are local ids by the field that refers to them.
    ``fresh``: the entity was deleted and made anew, so what the row holds of it is of no account any more. ``new``:
    there is no row yet, and ``local_id`` is the id that it is to have.
    """

    source: str
    source_entity_id: str
    local_id: str | None
    document: Document | None
    references: Mapping[str, str] = {}
    fresh: bool = False
    new: bool = False


class Applied(Struct, frozen=True, kw_only=True, gc=False):
    """What a target did with an assignment; ``before`` and ``after`` hold JSON values of the changed row."""

    local_id: str | None
    outcome: Outcome
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    changed: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Why a target will not take an assignment, ever: it breaks a rule of the local system."""

    code: str
    errors: Sequence[FieldError]


class Target(Protocol):
    """Where documents of some entity types are written, inside the caller's transaction."""

    async def apply(
        self, session: AsyncSession, entity_type: EntityType, assignments: Sequence[Assignment]
    ) -> Sequence[Applied | Rejected]:
        """Write all, in a fixed number of statements; one result an assignment, in order."""
        ...
