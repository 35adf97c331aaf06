"""The declarative base of every table, and the column types that keep ids, times, enums and JSON in one shape."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar, cast
from uuid import UUID

import orjson
from sqlalchemy import ClauseElement, MetaData, Text, event
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute
from sqlalchemy.types import TypeDecorator, Uuid

from app.core.clock import as_utc
from app.core.errors import InvalidError

__all__ = ["Base", "Json", "StrEnumType", "UnusableValueError", "UtcDateTime", "UuidType", "to_json"]

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

_NAMING: dict[str, str] = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UnusableValueError(InvalidError, DontWrapMixin):
    """A value handed to a column is not of the column's kind; ``value`` is what was given."""

    def __init__(self, value: object, expected: str) -> None:
        self.value = value
        super().__init__(f"{value!r} is not {expected}")


def to_json(value: object) -> str:
    """JSON text of ``value``: a Decimal as a string, UUIDs and datetimes in their usual text forms.

    Raises:
        TypeError: ``value`` holds something that JSON has no form for.
    """
    return orjson.dumps(value, default=_as_string).decode()


def _as_string(value: object) -> str:
    if isinstance(value, Decimal | UUID):  # ids of the database's driver are of a class of their own
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class CoercingType(TypeDecorator[T], Generic[T]):
    """A column type that takes several spellings of one value; a subclass's ``coerce`` knows the one to keep.

    Attributes of models (`Base`) are coerced when they are set, so an object reads the same before and after its flush.
    """

    __abstract__ = True

    def coerce(self, value: Any) -> T:
        """The value that is meant.

        Raises:
            UnusableValueError: none is.
        """
        return value

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> Any:
        """The value that is meant, as the column's underlying type takes it."""
        del dialect
        return None if value is None else self.coerce(value)


class UtcDateTime(CoercingType[datetime]):
    """``timestamptz``. A naive datetime handed in is UTC; what comes back is aware, in UTC (asyncpg sees to that)."""

    impl = TIMESTAMP(timezone=True)
    cache_ok = True

    def coerce(self, value: Any) -> datetime:
        """The moment in UTC."""
        if not isinstance(value, datetime):
            raise UnusableValueError(value, "a datetime")
        return as_utc(value)


class UuidType(CoercingType[UUID]):
    """``uuid``, taking a UUID or its text; a text that is no UUID never reaches the database."""

    impl = Uuid(as_uuid=True)
    cache_ok = True

    def coerce(self, value: Any) -> UUID:
        """The UUID that a text stands for."""
        if isinstance(value, UUID):
            return value
        try:
            return UUID(value)
        except (AttributeError, TypeError, ValueError) as error:
            raise UnusableValueError(value, "a UUID") from error


class StrEnumType(CoercingType[E], Generic[E]):
    """A ``StrEnum`` kept as ``text``, so that new members need no new type; others never reach the database."""

    impl = Text
    cache_ok = True

    def __init__(self, enum_class: type[E]) -> None:
        self.enum_class = enum_class
        super().__init__()

    def coerce(self, value: Any) -> E:
        """The member with that value."""
        try:
            return self.enum_class(value)
        except ValueError as error:
            raise UnusableValueError(value, f"a member of {self.enum_class.__name__}") from error

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        """The member of a stored value."""
        del dialect
        return None if value is None else self.coerce(value)


class Json(JSONB):
    """``jsonb`` in which Python's None is SQL's NULL, not JSON's ``null``."""

    def __init__(self, none_as_null: bool = True) -> None:  # noqa: FBT001, FBT002 - the signature of JSONB
        super().__init__(none_as_null=none_as_null)


class Base(DeclarativeBase):
    """Base of all ORM models. Constraint names follow one convention, so that migrations can name them."""

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        UUID: UuidType,
        datetime: UtcDateTime,
        dict[str, Any]: Json,
    }


@event.listens_for(Base, "attribute_instrument")
def _coerce_when_set(model: type[Any], key: str, attribute: InstrumentedAttribute[Any]) -> None:
    del model, key
    columns = getattr(attribute.property, "columns", ())
    kind = columns[0].type if columns else None
    if isinstance(kind, CoercingType):
        event.listen(attribute, "set", _setter(cast("CoercingType[Any]", kind)), retval=True)


def _setter(kind: CoercingType[Any]) -> Callable[..., Any]:
    def coerced(target: object, value: Any, *_: object) -> Any:
        del target
        return kind.coerce(value) if value is not None and not isinstance(value, ClauseElement) else value

    return coerced
