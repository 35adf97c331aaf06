"""One record of the organisation, and the store of those of one module."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Protocol

from app.sandbox.zoho import times
from app.sandbox.zoho.wire import Data, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.sandbox.zoho.contract import Module

__all__ = ["Draft", "Ids", "Record", "RecordGoneError", "Shape", "Store"]

_ONE_SECOND = timedelta(seconds=1)


class RecordGoneError(KeyError):
    """No record of that id, or it was deleted."""


class Ids:
    """Rising ids of 18 digits, which no float can hold. ``lane`` keeps those of two modules apart."""

    def __init__(self, seed: int, lane: int) -> None:
        self._numbers = count(481_500_000_000_012_007 + seed % 1000 * 1_000_000_000 + lane * 100_000_000, 2)

    def next(self) -> str:
        """A new id."""
        return str(next(self._numbers))


@dataclass(slots=True)
class Draft:
    """A record being made up; ``timed`` is whether its answers carry last_modified_time."""

    data: Data
    timed: bool = True


@dataclass(slots=True)
class Record:
    """What is stored, apart from how answers show it; ``row`` and ``detail`` keep the encoded answers."""

    id: str
    data: Data
    created: datetime
    modified: datetime
    timed: bool = True
    edits: int = 0
    row: bytes | None = None
    detail: bytes | None = None

    def edit(self, fields: Data, *, touch: bool = True) -> None:
        """Overlay ``fields``; with ``touch`` the modification time moves, by one second at least."""
        self.data = {**self.data, **fields}
        self.edits += 1
        self.row = self.detail = None
        if touch:
            self.modified = max(times.now(), self.modified + _ONE_SECOND)
            self.timed = True


class Shape(Protocol):
    """How a module shows a record."""

    @property
    def module(self) -> Module:
        """The module's name, which is its list key as well."""
        ...

    @property
    def id_field(self) -> str:
        """The field of the id, as in ``item_id``."""
        ...

    @property
    def name_field(self) -> str:
        """The field lists are sorted by unless asked otherwise."""
        ...

    @property
    def detail_key(self) -> str:
        """The key of a detail answer and of a webhook."""
        ...

    def row(self, record: Record) -> Data:
        """A row of the list."""
        ...

    def detail(self, record: Record) -> Data:
        """The object of a detail call and of a webhook."""
        ...


@dataclass(slots=True)
class Store:
    """The records of one module by id, and when those that are gone were deleted."""

    shape: Shape
    records: dict[str, Record] = field(default_factory=dict[str, Record])
    deleted: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records.values())

    def add(self, record: Record) -> None:
        """Keep a new record."""
        self.records[record.id] = record

    def get(self, identifier: str) -> Record:
        """The record of that id.

        Raises:
            RecordGoneError: there is none.
        """
        try:
            return self.records[identifier]
        except KeyError:
            raise RecordGoneError(identifier) from None

    def delete(self, identifier: str) -> Record:
        """Forget a record and remember when, for a checker; no API answer tells it.

        Raises:
            RecordGoneError: there is none.
        """
        record = self.get(identifier)
        del self.records[identifier]
        self.deleted[identifier] = max(times.now(), record.modified)
        return record

    def row(self, record: Record) -> bytes:
        """The list row, encoded."""
        if record.row is None:
            record.row = encode(self.shape.row(record))
        return record.row

    def detail(self, record: Record) -> bytes:
        """The detail object, encoded."""
        if record.detail is None:
            record.detail = encode(self.shape.detail(record))
        return record.detail

    def forget_encoded(self) -> None:
        """Have all answers encoded anew: a behaviour that shapes them has changed."""
        for record in self:
            record.row = record.detail = None
