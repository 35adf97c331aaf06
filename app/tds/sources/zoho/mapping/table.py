"""Field maps as data: which canonical field is read from which keys, by which converter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import UNSET
from pydantic import ValidationError

from app.tds.core.errors import FieldError
from app.tds.documents import Document
from app.tds.sources.zoho.mapping.convert import Fields, RefusedError

__all__ = ["Field", "Table", "build", "read"]

_Document = TypeVar("_Document", bound=Document)


class Field(NamedTuple):
    """One canonical field: the first of ``keys`` that the body has is read."""

    name: str
    keys: tuple[str, ...]
    convert: Callable[[Any], Any]


Table = Sequence[Field]


def read(table: Table, row: Mapping[str, Any], errors: list[FieldError], *, at: str = "") -> Fields:
    """What ``row`` knows, in canonical names; what is wrong goes to ``errors``, named by the keys of the body."""
    values: Fields = {}
    for name, keys, convert in table:
        for key in keys:
            if key in row:
                try:
                    value = convert(row[key])
                except RefusedError as refused:
                    errors.extend(_under(f"{at}{key}", error) for error in refused.errors)
                else:
                    if value is not UNSET:
                        values[name] = value
                break
    return values


def build(
    document: type[_Document], values: Fields, *, keys: Mapping[str, str], errors: list[FieldError]
) -> _Document | None:
    """The document of ``values``, or None with every refusal added to ``errors``; ``keys`` gives a canonical
    name's key in the body.
    """
    try:
        return document.model_validate(values)
    except ValidationError as refusal:
        for error in refusal.errors(include_url=False, include_context=False, include_input=False):
            path = ".".join(keys.get(part, part) if isinstance(part, str) else str(part) for part in error["loc"])
            errors.append(FieldError(path, error["msg"].removeprefix("Value error, "), "invalid_field"))
        return None


def _under(prefix: str, error: FieldError) -> FieldError:
    return FieldError(f"{prefix}.{error.field}" if error.field else prefix, error.message, error.code)
