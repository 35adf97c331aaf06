"""What all canonical documents share: they say which fields they know (``model_fields_set``)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.tds.types import EntityType

__all__ = [
    "Amount",
    "CustomFields",
    "Document",
    "LongText",
    "Quantity",
    "Reference",
    "ShortText",
    "UnitPrice",
    "decimals_of",
]

_DEEPEST = 16

_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_NO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "XAF", "XOF"}
)


def decimals_of(currency: str | None) -> int:
    """Digits after the point in a currency's amounts, after ISO 4217; 3, the most, where it is unknown."""
    if currency is None or currency in _THREE_DECIMALS:
        return 3
    return 0 if currency in _NO_DECIMALS else 2


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character, which a database text cannot hold")
    return text


def _walk(value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"is nested deeper than {_DEEPEST} levels")
    if isinstance(value, str):
        _storable(value)
    elif isinstance(value, dict):
        for key, member in cast("dict[Any, Any]", value).items():
            _storable(str(key))
            _walk(member, depth + 1)
    elif isinstance(value, list):
        for member in cast("list[Any]", value):
            _walk(member, depth + 1)


def _as_in_json(value: Any) -> Any:
    """Decimals as text, as in the document's JSON and in the row: a number would differ from itself read back."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {key: _as_in_json(member) for key, member in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [_as_in_json(member) for member in cast("list[Any]", value)]
    return value


def _storable_tree(fields: dict[str, Any]) -> dict[str, Any]:
    _walk(fields, 0)
    return _as_in_json(fields)


ShortText = Annotated[str, Field(max_length=500), AfterValidator(_storable)]
LongText = Annotated[str, Field(max_length=65_536), AfterValidator(_storable)]
Amount = Annotated[Decimal, Field(max_digits=18, decimal_places=3)]
CustomFields = Annotated[dict[str, Any], AfterValidator(_storable_tree)]
UnitPrice = Annotated[Decimal, Field(max_digits=20, decimal_places=6)]
Quantity = Annotated[Decimal, Field(max_digits=20, decimal_places=6)]


@dataclass(frozen=True, slots=True)
class Reference:
    """``field`` of a document names another entity of the same source, which must exist locally first."""

    field: str
    entity_type: EntityType
    source_entity_id: str


class Document(BaseModel):
    """A canonical document. A field that is not set is not known, and is never touched; a field that is
    set to None is known to be empty. Money and quantities are decimals, strings in JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def references(self) -> tuple[Reference, ...]:
        """The entities that must be applied before this one."""
        return ()

    def known(self) -> dict[str, Any]:
        """The known fields with their values, in the order of the class."""
        known = self.model_fields_set
        return {name: value for name, value in vars(self).items() if name in known}

    def whole(self) -> dict[str, Any]:
        """All fields, in the order of the class: what is not known has the class's default."""
        return dict(vars(self))
