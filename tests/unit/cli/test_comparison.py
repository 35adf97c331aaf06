"""The demo's comparison sees every kind of difference: a proof that cannot fail proves nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.cli.demo.comparison import Comparison, Difference, compare, expected_customer, expected_product

ITEM: dict[str, Any] = {
    "item_id": "1",
    "name": "Cable &quot;Pro&quot; &amp;amp; more",
    "sku": "",
    "status": "active",
    "product_type": "goods",
    "upc": 111111111111,
    "rate": "1250.500",
    "purchase_rate": "",
    "stock_on_hand": Decimal("-3.00"),
    "tax_percentage": 0,
    "custom_fields": [{"api_name": "cf_shelf", "value": ""}, {"label": "VAT", "value": Decimal("12.50")}],
}
PRODUCT: dict[str, Any] = {
    "name": 'Cable "Pro" &amp; more',
    "sku": None,
    "status": "active",
    "kind": "goods",
    "upc": "111111111111",
    "price": Decimal("1250.500000"),
    "purchase_price": None,
    "stock_on_hand": Decimal("-3.000000"),
    "tax_percentage": Decimal("0.000000"),
    "custom_fields": {"cf_shelf": None, "VAT": "12.5"},
}
PERSON = {"contact_person_id": "9", "first_name": "أحمد", "mobile": "1", "is_primary_contact": True}
CONTACT: dict[str, Any] = {
    "contact_id": "2",
    "contact_name": "Warka &amp; Sons",
    "payment_terms": 30,
    "billing_address": {"address": "60th St.", "city": "Baghdad", "zip": ""},
    "shipping_address": {"address": "", "city": ""},
    "contact_persons": [PERSON],
}


def _customer() -> dict[str, Any]:
    lines = dict.fromkeys(
        ("attention", "street2", "state", "state_code", "zip", "country", "phone", "fax", "customer_id", "kind")
    )
    person = dict.fromkeys(("salutation", "last_name", "email", "phone", "designation", "department", "customer_id"))
    return {
        "name": "Warka & Sons",
        "mobile": "1",
        "payment_terms": 30,
        "billing_address": {**lines, "street": "60th St.", "city": "Baghdad"},
        "shipping_address": None,
        "contact_persons": [{**person, "source_id": "9", "first_name": "أحمد", "mobile": "1", "is_primary": True}],
        "custom_fields": {},
    }


def _products(**changed: Any) -> Comparison:
    return compare("product", {"1": ITEM}, {"1": PRODUCT | changed}, expected_product)


def _customers(**changed: Any) -> Comparison:
    return compare("customer", {"2": CONTACT}, {"2": _customer() | changed}, expected_customer)


class TestCompare:
    """``compare``."""

    def test_accepts_equal_records(self) -> None:
        """However the two sides write the same value."""
        assert _products().is_equal, _products().differences
        assert _customers().is_equal, _customers().differences

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", 'Cable "Pro" & more'),
            ("sku", ""),
            ("status", "inactive"),
            ("upc", None),
            ("price", Decimal("1250.5001")),
            ("purchase_price", Decimal(0)),
            ("stock_on_hand", None),
            ("brand", "Rafid"),
            ("custom_fields", {"cf_shelf": None}),
            ("custom_fields", {"cf_shelf": None, "VAT": "12.6"}),
        ],
    )
    def test_sees_a_difference_in_any_field_of_a_product(self, field: str, value: object) -> None:
        """And names the record and the field."""
        found = _products(**{field: value})
        assert [(one.record, one.field) for one in found.differences] == [("1", field)]
        assert (found.equal, found.different, found.is_equal) == (0, 1, False)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "Warka &amp; Sons"),
            ("payment_terms", 31),
            ("mobile", None),
            ("credit_limit", Decimal(1)),
            ("billing_address", None),
            ("shipping_address", _customer()["billing_address"]),
            ("contact_persons", []),
            ("contact_persons", [{**_customer()["contact_persons"][0], "is_primary": False}]),
        ],
    )
    def test_sees_a_difference_in_any_field_of_a_customer(self, field: str, value: object) -> None:
        """Addresses and persons included."""
        assert [one.field for one in _customers(**{field: value}).differences] == [field]

    def test_sees_what_is_missing_and_what_is_too_much(self) -> None:
        """Records of one side only are counted apart."""
        found = compare("product", {"1": ITEM, "3": ITEM}, {"1": PRODUCT, "4": PRODUCT}, expected_product)
        assert (found.missing, found.extra, found.equal, found.is_equal) == (["3"], ["4"], 1, False)

    def test_tells_both_values(self) -> None:
        """As they are compared."""
        assert _products(price=Decimal(2)).differences == [Difference("1", "price", Decimal("1250.500"), Decimal(2))]
