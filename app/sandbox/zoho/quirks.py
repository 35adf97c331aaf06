"""The awkward values that live organisations hold. Each is a valid record: a client must map it.

The first items and contacts of a sandbox get one quirk each, so that a small sandbox has them all.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from app.sandbox.zoho.records import Draft
    from app.sandbox.zoho.wire import Data

__all__ = ["CONTACT_QUIRKS", "EMPTY_ADDRESS", "ITEM_QUIRKS"]

Quirk = Callable[["Draft", int], None]

_RLE, _PDF, _RLM = "\u202b", "\u202c", "\u200f"

EMPTY_ADDRESS: Final[Data] = {
    "attention": "",
    "address": "",
    "street2": "",
    "state_code": "",
    "city": "",
    "state": "",
    "zip": "",
    "country": "",
    "fax": "",
    "phone": "",
}


def _sets(**fields: object) -> Quirk:
    def quirk(draft: Draft, _number: int) -> None:
        draft.data.update(fields)

    return quirk


def _lacks(*names: str) -> Quirk:
    def quirk(draft: Draft, _number: int) -> None:
        for name in names:
            draft.data.pop(name, None)

    return quirk


def _renames(template: str, field: str = "name") -> Quirk:
    def quirk(draft: Draft, _number: int) -> None:
        draft.data[field] = template.format(draft.data[field])

    return quirk


def _sku_family(template: str) -> Quirk:
    def quirk(draft: Draft, number: int) -> None:
        draft.data["sku"] = template.format(number // len(ITEM_QUIRKS) + 1)

    return quirk


def _untimed(draft: Draft, _number: int) -> None:
    draft.timed = False


def _custom_fields(draft: Draft, number: int) -> None:
    value = Decimal(12_250 + number)
    draft.data["custom_fields"] = [
        {
            "customfield_id": "481500000000333001",
            "api_name": "cf_wholesale_iqd",
            "label": "سعر الجملة",
            "index": 1,
            "data_type": "decimal",
            "value": value.quantize(Decimal("1.00")),
            "value_formatted": f"{value:,}",
            "show_on_pdf": False,
            "edit_on_portal": False,
            "is_active": True,
            "placeholder": "cf_wholesale_iqd",
        },
        {
            "customfield_id": 481500000000333002,
            "api_name": "cf_shelf",
            "label": "Shelf",
            "index": 2,
            "data_type": "string",
            "value": "",
            "value_formatted": "",
            "show_on_pdf": False,
            "is_active": True,
        },
    ]


ITEM_QUIRKS: Final[tuple[Quirk, ...]] = (
    _sets(rate="", purchase_rate=""),
    _sets(rate="1250.000", tax_percentage=""),
    _renames("{} &quot;Pro&quot; &amp; adapter"),
    _renames(f"{_RLE}{{}}{_PDF} {_RLM}"),
    _renames("{} 😀🔌"),
    _renames("{}  (new   box) "),
    _renames("<b>HTML</b> {}"),
    _sku_family("HD-4K-{:02d}"),
    _sku_family("hd-4k-{:02d}"),
    _sku_family("HD-4K-{:02d} "),
    _sku_family("HD-4\u041a-{:02d}"),  # a Cyrillic letter that looks like a K
    _sets(sku=""),
    _lacks("sku"),
    _sets(stock_on_hand=Decimal("-3.00"), available_stock=Decimal("-3.00"), actual_available_stock=Decimal("-3.00")),
    _sets(stock_on_hand=Decimal("1000000.333333")),
    _sets(stock_on_hand="", available_stock="", reorder_level=""),
    _sets(stock_on_hand="12.5", available_stock="12.5"),
    _sets(description=None),
    _lacks("description"),
    _untimed,
    _sets(upc=111111111111, ean=6210000011128),
    _sets(rate=Decimal("1250.125")),
    _sets(rate=Decimal("0.1225"), purchase_rate=Decimal("0.0815")),
    _sets(status="inactive"),
    _custom_fields,
    _sets(unit="", brand="", manufacturer=""),
    _sets(description="سطر أول\nسطر ثانٍ\tمع علامة &lt;جدولة&gt;"),
    _sets(tax_id="481500000000044043", tax_name="VAT &amp; fees", tax_percentage=Decimal("7.5")),
)


def _no_persons(draft: Draft, _number: int) -> None:
    draft.data["contact_persons"] = []
    draft.data["primary_contact_id"] = ""


def _no_addresses(draft: Draft, _number: int) -> None:
    draft.data["billing_address"] = dict(EMPTY_ADDRESS)
    draft.data["shipping_address"] = dict(EMPTY_ADDRESS)


def _shipping_only_empty(draft: Draft, _number: int) -> None:
    draft.data["shipping_address"] = dict(EMPTY_ADDRESS)


def _arabic_digits(draft: Draft, _number: int) -> None:
    for person in draft.data["contact_persons"]:
        person["mobile"] = "٠٧٧٠ ١٢٣ ٤٥٦٧"


def _two_persons(draft: Draft, number: int) -> None:
    first = draft.data["contact_persons"][0]
    second = {**first, "contact_person_id": str(int(first["contact_person_id"]) + 1), "is_primary_contact": False}
    second.update(first_name="أم", last_name="علي", email=f"accounts{number}@example.com", salutation="")
    draft.data["contact_persons"] = [first, second]


CONTACT_QUIRKS: Final[tuple[Quirk, ...]] = (
    _no_persons,
    _no_addresses,
    _shipping_only_empty,
    _two_persons,
    _arabic_digits,
    _sets(credit_limit=""),
    _sets(outstanding_receivable_amount="1250.500", outstanding_receivable_amount_bcy="1250.500"),
    _sets(outstanding_receivable_amount=250, outstanding_receivable_amount_bcy=250),
    _sets(company_name=""),
    _renames("{} &amp; Sons", "contact_name"),
    _renames(f"{_RLE}{{}}{_PDF}", "contact_name"),
    _renames("{}  🛒 ", "contact_name"),
    _sets(status="inactive"),
    _sets(notes=None, website=""),
    _lacks("credit_limit", "notes"),
    _untimed,
    _sets(custom_fields=[{"index": 1, "value": "GBGD078", "label": "VAT ID"}]),
    _sets(payment_terms=0, payment_terms_label="", language_code=""),
)
