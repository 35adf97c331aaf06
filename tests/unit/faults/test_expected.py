"""What a source record must look like locally."""

from __future__ import annotations

import json
from decimal import Decimal

from tests.faults.expected import customer, customer_row, product

CONTACT = {
    "contact_name": "A",
    "currency_code": "USD",
    "credit_limit": Decimal("10.005"),
    "payment_terms": 15,
    "billing_address": {"address": "Street 1", "street2": "", "city": "Basra", "state": "", "zip": ""},
    "shipping_address": {"address": "", "city": ""},
    "contact_persons": [{"contact_person_id": "1", "first_name": "Huda", "last_name": "", "mobile": "077"}],
}


class TestProduct:
    """Items."""

    def test_resolves_entities_and_empties(self) -> None:
        """Names are read as people read them; an empty text is none."""
        found = product({"name": "A &quot;B&quot; &amp; C", "sku": "", "rate": "1250.000", "status": "active"})
        assert found == {"name": 'A "B" & C', "sku": None, "status": "active", "price": Decimal(1250)}

    def test_does_not_judge_a_stock_that_is_not_told(self) -> None:
        """An empty stock is unknown, not none."""
        assert "stock_on_hand" not in product({"name": "A", "stock_on_hand": ""})


class TestCustomer:
    """Contacts."""

    def test_rounds_to_the_currency_and_leaves_empty_addresses_out(self) -> None:
        """Amounts have the currency's decimals; an address of empty lines is none."""
        found = customer(CONTACT)
        assert found["credit_limit"] == Decimal("10.01")
        assert list(found["addresses"]) == ["billing"]

    def test_equals_the_row_that_holds_the_same(self) -> None:
        """A row with these addresses and persons is what was expected."""
        lines = {"street": "Street 1", "street2": None, "city": "Basra", "state": None, "zip": None, "fax": None}
        person = {"source_id": "1", "first_name": "Huda", "last_name": None, "mobile": "077", "position": 0}
        row = customer_row({"addresses": json.dumps({"billing": lines}), "persons": json.dumps([person])})
        found = customer(CONTACT)
        assert (found["addresses"], found["persons"]) == (row["addresses"], row["persons"])

    def test_differs_from_a_row_with_another_person(self) -> None:
        """A mobile that was not taken over is seen."""
        person = {"source_id": "1", "first_name": "Huda", "last_name": None, "mobile": "078", "position": 0}
        row = customer_row({"addresses": None, "persons": json.dumps([person])})
        assert customer(CONTACT)["persons"] != row["persons"]
