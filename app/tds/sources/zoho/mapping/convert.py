"""Converters: one value as Zoho writes it -> one value of a canonical document.

A converter returns the value, None where Zoho says "empty", or `msgspec.UNSET` where Zoho says nothing
at all; it raises `RefusedError` where the value cannot be what the field is. Shapes: facts seen on live
organisations (numbers as text, ``""`` for "not set", codes as numbers, HTML entities in text).
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any, TypeAlias, cast

from msgspec import UNSET, UnsetType

from app.tds.core.errors import FieldError

__all__ = [
    "Fields",
    "RefusedError",
    "custom_fields",
    "flag",
    "identifier",
    "moment",
    "name",
    "number",
    "status",
    "stock",
    "text",
    "whole",
]

Fields: TypeAlias = dict[str, Any]

# Only entities with their semicolon: "R&D" and "&copy2" are what somebody typed.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_IDENTIFIER = re.compile(r"[0-9A-Za-z_-]{1,100}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]{5,15}(?:Z|[+-][0-9]{2}:?[0-9]{2}))?")
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])
_ZERO = Decimal(0)
_ONE = Decimal(1)
_MAX_EXPONENT = 20
_DEEPEST = 14


class RefusedError(Exception):
    """A value is not what its field holds; ``errors`` have paths relative to it."""

    def __init__(self, message: str = "", code: str = "invalid_field", *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors or (FieldError("", message, code),)


def _unescaped(match: re.Match[str]) -> str:
    return html.unescape(match.group())


def _clean(value: str) -> str:
    if "\x00" in value:
        raise RefusedError("holds a NUL character, which cannot be stored", "nul_character")
    return _ENTITY.sub(_unescaped, value) if "&" in value else value


def text(value: Any) -> str | None:
    """Text, its HTML entities unescaped once and nothing trimmed; a whole number's digits; ``""`` is None."""
    if type(value) is str:
        return _clean(value) if value else None
    if value is None:
        return None
    if type(value) is int:
        return str(value)
    raise RefusedError("must be text")


def name(value: Any) -> str:
    """Text that must not be empty."""
    given = text(value)
    if given is None:
        raise RefusedError("must not be empty", "empty")
    return given


def _exact(value: Decimal) -> Decimal:
    """A number without trailing zeros: 6.0, 6.00 and 6 are one price, and must have one hash."""
    if not value:
        return _ZERO
    try:
        plain = value.normalize(_EXACT)
    except DecimalException:
        raise RefusedError("is not a number that can be kept exactly") from None
    if plain.adjusted() > _MAX_EXPONENT:
        raise RefusedError("is too large")
    return plain.quantize(_ONE, context=_EXACT) if plain == plain.to_integral_value() else plain


def number(value: Any) -> Decimal | None:
    """A decimal from a number or a numeric text; ``""`` is None. Thousands separators are refused: in
    neither an item nor a contact does Zoho document one, and a comma may be somebody's decimal point.
    """
    if type(value) is Decimal:
        return _exact(value)
    if type(value) is int:
        return _exact(Decimal(value))
    if value is None or value == "":
        return None
    if type(value) is str and _NUMBER.fullmatch(value):
        return _exact(Decimal(value))
    raise RefusedError("must be a number")


def stock(value: Any) -> Decimal | UnsetType:
    """A quantity; ``""`` and null are not "none in stock" but unknown."""
    quantity = number(value)
    return UNSET if quantity is None else quantity


def whole(value: Any) -> int | None:
    """A whole number, also as text or as 15.0; ``""`` is None."""
    if type(value) is int:
        return value
    given = number(value)
    if given is None:
        return None
    if given.as_tuple().exponent:
        raise RefusedError("must be a whole number")
    return int(given)


def flag(value: Any) -> bool:
    """A boolean, also as text; ``""`` and null are false."""
    if type(value) is bool:
        return value
    if value is None or value in ("", "false"):
        return False
    if value == "true":
        return True
    raise RefusedError("must be true or false")


def status(value: Any) -> str | UnsetType:
    """``active`` or ``inactive`` (the document checks which words there are); ``""`` says nothing."""
    given = text(value)
    return UNSET if given is None else given.lower()


def identifier(value: Any) -> str | None:
    """An id as text, a whole number digit for digit; ``""`` is None. A float has lost digits already."""
    if type(value) is int:
        return str(value)
    if value is None or value == "":
        return None
    if type(value) is str and _IDENTIFIER.fullmatch(value):
        return value
    raise RefusedError("must be an id: text of digits, or a whole number")


def moment(value: Any) -> datetime | None:
    """A time in UTC from ``2025-11-13T08:30:00+0300`` or, at midnight UTC, ``2025-11-13``; ``""`` is None."""
    if value is None or value == "":
        return None
    if type(value) is not str or not _MOMENT.fullmatch(value):
        raise RefusedError("must be a time with its offset, such as 2025-11-13T08:30:00+0300")
    try:
        given = datetime.fromisoformat(value)
        return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RefusedError("is no moment of any calendar") from None


def custom_fields(value: Any) -> Fields | UnsetType:
    """``{api_name or label: value}`` of Zoho's list of custom fields; ``""`` and null say nothing."""
    if value is None or value == "":
        return UNSET
    if type(value) is not list:
        raise RefusedError("must be a list")
    found: Fields = {}
    for position, member in enumerate(cast("list[Any]", value)):
        key, known = _custom_field(position, member)
        if key:
            found[key] = known
    return found


def _custom_field(position: int, member: Any) -> tuple[str | None, Any]:
    if type(member) is not dict:
        raise RefusedError(errors=(FieldError(f"{position}", "must be an object", "invalid_field"),))
    row = cast("Mapping[str, Any]", member)
    try:
        keys = (row.get("api_name"), row.get("label"), row.get("customfield_id"), row.get("custom_field_id"))
        return text(next((key for key in keys if key), None)), _plain(row.get("value"), 0)
    except RefusedError as refused:
        raise RefusedError(errors=tuple(FieldError(f"{position}", e.message, e.code) for e in refused.errors)) from None


def _plain(value: Any, depth: int) -> Any:
    """A custom field's value with its text cleaned and its numbers exact, lists and objects included."""
    if type(value) is str:
        return _clean(value) or None
    if type(value) is Decimal:
        return _exact(value)
    if depth > _DEEPEST:
        raise RefusedError("is nested too deeply", "too_deep")
    if type(value) is list:
        return [_plain(member, depth + 1) for member in cast("list[Any]", value)]
    if type(value) is dict:
        return {_clean(key): _plain(member, depth + 1) for key, member in cast("Fields", value).items()}
    return value
