"""Both sides, record by record and field by field.

What a record should look like here is written down once more, apart from the program's mapping: which key of Zoho's
JSON is which column, that ``""`` is nothing, that text is unescaped once and that 12.50 and "12.5" are one number.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

__all__ = ["Comparison", "Difference", "Values", "compare", "expected_customer", "expected_product"]

Values = Mapping[str, Any]

_TEXTS: Final = {
    "name": "name",
    "sku": "sku",
    "description": "description",
    "unit": "unit",
    "status": "status",
    "kind": "product_type",
    "brand": "brand",
    "manufacturer": "manufacturer",
    "upc": "upc",
    "ean": "ean",
    "isbn": "isbn",
    "part_number": "part_number",
    "tax_name": "tax_name",
}
_NUMBERS: Final = {
    "price": "rate",
    "purchase_price": "purchase_rate",
    "tax_percentage": "tax_percentage",
    "stock_on_hand": "stock_on_hand",
    "available_stock": "available_stock",
    "actual_available_stock": "actual_available_stock",
    "reorder_level": "reorder_level",
}
_CUSTOMER_TEXTS: Final = {
    "name": "contact_name",
    "company_name": "company_name",
    "status": "status",
    "kind": "customer_sub_type",
    "language": "language_code",
    "website": "website",
    "currency": "currency_code",
    "payment_terms_label": "payment_terms_label",
    "notes": "notes",
}
_CUSTOMER_NUMBERS: Final = {
    "payment_terms": "payment_terms",
    "credit_limit": "credit_limit",
    "outstanding_receivable": "outstanding_receivable_amount",
    "unused_credits": "unused_credits_receivable_amount",
}
_ADDRESS: Final = {
    **{
        name: name for name in ("attention", "street2", "city", "state", "state_code", "zip", "country", "phone", "fax")
    },
    "street": "address",
}
_PERSON: Final = {
    **{name: name for name in ("salutation", "first_name", "last_name", "email", "phone", "mobile")},
    **{name: name for name in ("designation", "department")},
    "source_id": "contact_person_id",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one record; ``theirs`` is the source's value, ``ours`` the local one."""

    record: str
    field: str
    theirs: Any
    ours: Any


@dataclass(slots=True)
class Comparison:
    """What was found. ``values`` is how many fields were looked at."""

    kind: str
    theirs: int
    ours: int
    equal: int = 0
    values: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])
    missing: list[str] = field(default_factory=list[str])
    extra: list[str] = field(default_factory=list[str])

    @property
    def different(self) -> int:
        """How many records differ."""
        return len({one.record for one in self.differences})

    @property
    def is_equal(self) -> bool:
        """Whether both sides hold the same."""
        return self.equal == self.theirs == self.ours


def compare(
    kind: str, theirs: Mapping[str, Values], ours: Mapping[str, Values], expected: Callable[[Values], Values]
) -> Comparison:
    """Compare all records, by their id at the source."""
    found = Comparison(kind, len(theirs), len(ours))
    found.missing = [identifier for identifier in theirs if identifier not in ours]
    found.extra = [identifier for identifier in ours if identifier not in theirs]
    for identifier in theirs.keys() & ours.keys():
        wanted = expected(theirs[identifier])
        have = {name: _comparable(ours[identifier].get(name), name) for name in wanted}
        found.values += len(wanted)
        unequal = [name for name, value in wanted.items() if have[name] != value]
        found.equal += not unequal
        found.differences += [Difference(identifier, name, wanted[name], have[name]) for name in unequal]
    return found


def expected_product(item: Values) -> Values:
    """An item's columns."""
    return {
        **{column: _text(item.get(key)) for column, key in _TEXTS.items()},
        **{column: _number(item.get(key)) for column, key in _NUMBERS.items()},
        "custom_fields": _custom_fields(item),
    }


def expected_customer(contact: Values) -> Values:
    """A contact's columns; e-mail and telephones are those of its primary person."""
    persons = cast("Sequence[Values]", contact.get("contact_persons") or [])
    nobody: Values = {}
    primary = next((one for one in persons if one.get("is_primary_contact")), nobody)
    return {
        **{column: _text(contact.get(key)) for column, key in _CUSTOMER_TEXTS.items()},
        **{column: _number(contact.get(key)) for column, key in _CUSTOMER_NUMBERS.items()},
        **{column: _text(primary.get(column)) for column in ("email", "phone", "mobile")},
        "billing_address": _address(contact.get("billing_address")),
        "shipping_address": _address(contact.get("shipping_address")),
        "contact_persons": [_person(one) for one in persons],
        "custom_fields": _custom_fields(contact),
    }


def _text(value: Any) -> str | None:
    return html.unescape(str(value)) if value not in (None, "") else None


def _number(value: Any) -> Decimal | None:
    return Decimal(str(value)) if value not in (None, "") else None


def _address(value: Values | None) -> Values | None:
    lines = {column: _text((value or {}).get(key)) for column, key in _ADDRESS.items()}
    return lines if any(lines.values()) else None


def _person(value: Values) -> Values:
    lines: Values = {column: _text(value.get(key)) for column, key in _PERSON.items()}
    return {**lines, "is_primary": bool(value.get("is_primary_contact"))}


def _custom_fields(record: Values) -> Values:
    entries = cast("Sequence[Values]", record.get("custom_fields") or [])
    return {entry.get("api_name") or entry["label"]: _loose(entry.get("value")) for entry in entries}


def _comparable(value: Any, name: str) -> Any:
    """A local value in the form of an expected one."""
    if name == "custom_fields":
        return {key: _loose(inner) for key, inner in cast("Values", value).items()}
    if name == "contact_persons":
        return [{key: person[key] for key in (*_PERSON, "is_primary")} for person in cast("Sequence[Values]", value)]
    if name.endswith("_address"):
        return {key: value[key] for key in _ADDRESS} if value else None
    return Decimal(value) if isinstance(value, int) else value


def _loose(value: Any) -> Any:
    """A custom field has no type here: what reads as a number is one."""
    given = _text(value)
    try:
        return None if given is None else Decimal(given)
    except InvalidOperation:
        return given
