"""Items: how they are made up and how answers show them (shapes of a live organisation's list and detail)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from app.sandbox.zoho import times
from app.sandbox.zoho.records import Draft, Record
from app.sandbox.zoho.vocabulary import BRANDS, KINDS, SERVICES

if TYPE_CHECKING:
    from app.sandbox.zoho.chance import Chance
    from app.sandbox.zoho.contract import Behaviour, Module
    from app.sandbox.zoho.vocabulary import Kind
    from app.sandbox.zoho.wire import Data

__all__ = ["ItemShape", "make_item", "make_service"]

_LOCATIONS: Final = (("481500000000000101", "Baghdad - Karrada", True), ("481500000000000102", "Basra", False))
_LIST_ONLY: Final = frozenset({"is_combo_product"})
_STOCK: Final = ("stock_on_hand", "available_stock", "actual_available_stock")


def make_item(rng: Chance, number: int) -> Draft:
    """Goods number ``number``, without awkward values."""
    kind = rng.choice(KINDS)
    variant = rng.choice(kind.variants)
    brand_en, brand_ar = rng.choice(BRANDS)
    model = f"{brand_en[0]}{kind.code[0]}-{rng.randint(100, 999)}"
    rate = Decimal(rng.randrange(kind.lowest, kind.highest, 250)).quantize(Decimal("1.00"))
    names = (
        f"{brand_en} {kind.english} {variant} {model}",
        f"{kind.arabic} {brand_ar} {variant} {model}",
        f"{kind.arabic} {brand_en} {variant} - {kind.english} {model}",
    )
    data: Data = {
        **_common(rng.choices(names, (5, 3, 2))[0], kind.unit, rate),
        "description": rng.choice(
            ("", f"{kind.english} {variant}, 1 year warranty", f"{kind.arabic} أصلي مع ضمان سنة")
        ),
        "brand": brand_en,
        "manufacturer": rng.choice(("", brand_en)),
        "purchase_rate": (rate * rng.randint(55, 88) / 100).quantize(Decimal("1.00")),
        "item_type": "inventory",
        "product_type": "goods",
        "sku": f"{kind.code}-{brand_en[:2].upper()}-{number:05d}",
        **_codes(rng, model),
        **_stock(rng, kind),
    }
    return Draft(data)


def make_service(rng: Chance, number: int) -> Draft:
    """Something sold that is not stocked: no stock keys at all. Helpers of the accounts exist as items, too."""
    english, arabic = SERVICES[number % len(SERVICES)]
    name = rng.choice((english, arabic, f"{arabic} / {english}"))
    suffix = "" if number < len(SERVICES) else f" {number}"
    data: Data = {
        **_common(name + suffix, "", Decimal(rng.randrange(0, 50_000, 250)).quantize(Decimal("1.00"))),
        "description": "",
        "purchase_rate": "",
        "item_type": "sales",
        "product_type": "service",
    }
    return Draft(data)


def _common(name: str, unit: str, rate: Decimal) -> Data:
    return {
        "name": name,
        "unit": unit,
        "status": "active",
        "source": "user",
        "is_combo_product": False,
        "is_linked_with_zohocrm": False,
        "zcrm_product_id": "",
        "rate": rate,
        "tax_id": "",
        "tax_name": "",
        "tax_percentage": 0,
        "purchase_account_id": "481500000000034003",
        "purchase_account_name": "Cost of Goods Sold",
        "account_id": "481500000000000388",
        "account_name": "Sales",
        "purchase_description": "",
        "has_attachment": False,
        "is_returnable": True,
        "image_name": "",
        "image_type": "",
        "image_document_id": "",
    }


def _codes(rng: Chance, model: str) -> Data:
    ean = str(rng.randrange(6_210_000_000_000, 6_219_999_999_999))
    return {
        "upc": "",
        "ean": rng.choice(("", ean)),
        "isbn": "",
        "part_number": rng.choice(("", model)),
        "length": "",
        "width": "",
        "height": "",
        "weight": rng.choice(("", Decimal(rng.randint(1, 900)) / 100)),
        "weight_unit": "kg",
        "dimension_unit": "cm",
    }


def _stock(rng: Chance, kind: Kind) -> Data:
    fractional = kind.unit == "m"
    on_hand = Decimal(rng.randint(0, 40_000)) / 100 if fractional else Decimal(rng.randint(0, 400))
    committed = Decimal(rng.randint(0, 12))
    return {
        "stock_on_hand": on_hand.quantize(Decimal("1.00")),
        "available_stock": (on_hand - committed).quantize(Decimal("1.00")),
        "actual_available_stock": on_hand.quantize(Decimal("1.00")),
        "reorder_level": rng.choice(("", Decimal(5), Decimal(10), Decimal("2.50"))),
    }


class ItemShape:
    """Rows have the flattened custom fields; details have tax preferences and stock by location."""

    module: Module = "items"
    id_field = "item_id"
    name_field = "name"
    detail_key = "item"

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def row(self, record: Record) -> Data:
        """A row of the list."""
        fields: list[Data] = record.data.get("custom_fields", [])
        return {**_head(record), **_times(record), **_custom_hash(fields), **_flattened(fields)}

    def detail(self, record: Record) -> Data:
        """The object of a detail call and of a webhook."""
        data = record.data
        head = {key: value for key, value in _head(record).items() if key not in _LIST_ONLY}
        stamps = _times(record) if self._behaviour.item_detail_times else {}
        goods = data.get("product_type") == "goods"
        return {
            **head,
            **stamps,
            "can_be_sold": True,
            "can_be_purchased": goods,
            "track_inventory": goods,
            "is_taxable": False,
            "pricebook_rate": data.get("rate", ""),
            "vendor_id": "",
            "vendor_name": "",
            "item_tax_preferences": [],
            **_custom_hash(data.get("custom_fields", [])),
            **({"locations": _locations(data)} if any(key in data for key in _STOCK) else {}),
        }


def _head(record: Record) -> Data:
    data = record.data
    return {"item_id": record.id, "name": data["name"], "item_name": data["name"], **data}


def _times(record: Record) -> Data:
    created = {"created_time": times.stamp(record.created)}
    return {**created, "last_modified_time": times.stamp(record.modified)} if record.timed else created


def _custom_hash(fields: list[Data]) -> Data:
    if not fields:
        return {}
    return {"custom_field_hash": _flattened(fields)}


def _flattened(fields: list[Data]) -> Data:
    flat: Data = {}
    for entry in fields:
        if name := entry.get("api_name"):
            flat[name] = entry.get("value_formatted", "")
            flat[f"{name}_unformatted"] = entry.get("value", "")
    return flat


def _locations(data: Data) -> list[Data]:
    return [
        {
            "location_id": identifier,
            "location_name": name,
            "status": "active",
            "is_primary": primary,
            **{f"location_{key}": data.get(key, "") if primary else "" for key in _STOCK},
        }
        for identifier, name, primary in _LOCATIONS
    ]
