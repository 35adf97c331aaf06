"""What a source record must look like in the local tables, worked out apart from the application's own mapping."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

__all__ = ["customer", "customer_row", "product"]

Record = Mapping[str, Any]
_ENTITY: Final = re.compile(r"&#?\w+;")
_DECIMALS: Final = {"IQD": 3, "USD": 2}
_LINES: Final = {"street": "address", "street2": "street2", "city": "city", "state": "state", "zip": "zip"}


def _text(value: Any) -> str | None:
    """Text with its HTML entities resolved; an empty one is none at all."""
    return _ENTITY.sub(lambda found: html.unescape(found.group()), str(value)) if value not in (None, "") else None


def _number(value: Any) -> Decimal | None:
    return Decimal(str(value)) if value not in (None, "") else None


def _given(record: Record, fields: Mapping[str, str], convert: Callable[[Any], Any]) -> dict[str, Any]:
    """The fields that the record has; what it does not say is not looked at."""
    return {ours: convert(record[theirs]) for ours, theirs in fields.items() if theirs in record}


def product(record: Record) -> dict[str, Any]:
    """Values of ``erp_products`` by column."""
    texts = {name: name for name in ("name", "sku", "description", "unit", "brand", "upc", "ean", "status")}
    numbers = {"price": "rate", "purchase_price": "purchase_rate"}
    stock = {name: name for name in ("stock_on_hand", "available_stock", "actual_available_stock")}
    told = {ours: theirs for ours, theirs in stock.items() if record.get(theirs) not in (None, "")}
    return _given(record, texts, _text) | _given(record, numbers, _number) | _given(record, told, _number)


def customer(record: Record) -> dict[str, Any]:
    """Values of ``erp_customers`` by column; addresses by kind, persons in their order."""
    texts = {
        "name": "contact_name",
        "company_name": "company_name",
        "currency": "currency_code",
        "status": "status",
        "payment_terms_label": "payment_terms_label",
        "notes": "notes",
        "website": "website",
    }
    amounts = {"credit_limit": "credit_limit", "outstanding_receivable": "outstanding_receivable_amount"}
    unit = Decimal(1).scaleb(-_DECIMALS[record["currency_code"]])
    return {
        **_given(record, texts, _text),
        **_given(record, {"payment_terms": "payment_terms"}, int),
        **_given(record, amounts, lambda value: _rounded(_number(value), unit)),
        "addresses": _addresses(record),
        "persons": _people(record),
    }


def customer_row(row: Record) -> dict[str, Any]:
    """A row as it is read, its addresses and persons (JSON) reduced to what is compared."""
    return {**row, "addresses": _lines_of(row["addresses"]), "persons": _people_in(row["persons"])}


def _rounded(amount: Decimal | None, unit: Decimal) -> Decimal | None:
    return None if amount is None else amount.quantize(unit, ROUND_HALF_UP)


def _addresses(record: Record) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    for kind in ("billing", "shipping"):
        address: Record = record.get(f"{kind}_address") or {}
        if any(value not in (None, "") for value in address.values()):
            found[kind] = {ours: _text(address.get(theirs)) for ours, theirs in _LINES.items()}
    return found


def _lines_of(found: str | None) -> dict[str, dict[str, str | None]]:
    rows: dict[str, Any] = json.loads(found) if found else {}
    return {kind: {line: row[line] for line in _LINES} for kind, row in rows.items()}


def _people(record: Record) -> list[tuple[str, str | None, str | None, str | None]]:
    persons: list[Record] = record.get("contact_persons") or []
    return [
        (str(one["contact_person_id"]), _text(one["first_name"]), _text(one["last_name"]), _text(one["mobile"]))
        for one in persons
    ]


def _people_in(found: str | None) -> list[tuple[str, str | None, str | None, str | None]]:
    rows: list[Any] = json.loads(found) if found else []
    return [(row["source_id"], row["first_name"], row["last_name"], row["mobile"]) for row in rows]
