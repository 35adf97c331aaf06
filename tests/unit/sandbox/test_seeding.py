"""The made-up organisation: sizes, repeatability, and values that are awkward but never wrong."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest

from app.sandbox.zoho import SandboxConfig, ZohoSandbox
from app.sandbox.zoho.contract import ChangeRequest
from app.sandbox.zoho.records import Record
from app.sandbox.zoho.wire import Data, decode

NUMERIC = re.compile(r"-?\d+(\.\d+)?")
ITEM_NUMBERS = ("rate", "purchase_rate", "stock_on_hand", "available_stock", "actual_available_stock", "reorder_level")
CONTACT_NUMBERS = ("credit_limit", "outstanding_receivable_amount", "unused_credits_receivable_amount")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0300")


def _details(sandbox: ZohoSandbox, module: str) -> list[Data]:
    store = sandbox.stores["items" if module == "items" else "contacts"]
    return [decode(store.detail(record)) for record in store]


def _is_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return value == "" or isinstance(value, int | Decimal) or bool(NUMERIC.fullmatch(str(value)))


class TestSizes:
    """How many records there are."""

    @pytest.mark.parametrize(("products", "customers", "vendors"), [(0, 0, 0), (1, 1, 1), (450, 60, 3), (7, 101, 6)])
    def test_are_exact(self, products: int, customers: int, vendors: int) -> None:
        """N items, M customers, and 5 % vendors on top of them."""
        state = ZohoSandbox(SandboxConfig(products=products, customers=customers)).state()
        assert (state.items.total, state.contacts.customers, state.contacts.vendors) == (products, customers, vendors)
        assert state.contacts.total == customers + vendors


class TestSeed:
    """The same seed, the same organisation."""

    def test_repeats(self) -> None:
        """Two sandboxes of one seed hold the same, byte for byte."""
        config = SandboxConfig(seed=7, products=120, customers=40)
        assert _details(ZohoSandbox(config), "items") == _details(ZohoSandbox(config), "items")
        assert _details(ZohoSandbox(config), "contacts") == _details(ZohoSandbox(config), "contacts")

    def test_differs_by_seed(self) -> None:
        """Another seed is another organisation."""
        one, two = (ZohoSandbox(SandboxConfig(seed=seed, products=50, customers=0)) for seed in (1, 2))
        assert _details(one, "items") != _details(two, "items")

    def test_contacts_do_not_depend_on_the_number_of_products(self) -> None:
        """Each module has its own draws and ids."""
        few, many = (ZohoSandbox(SandboxConfig(products=size, customers=30)) for size in (5, 300))
        assert _details(few, "contacts") == _details(many, "contacts")

    def test_random_changes_repeat(self) -> None:
        """The same changes are drawn from the same seed."""
        drawn = [
            [(change.action, change.id) for change in ZohoSandbox(config).change(ChangeRequest(count=60, seed=3))]
            for config in [SandboxConfig(products=40, customers=20)] * 2
        ]
        assert drawn[0] == drawn[1]
        assert {action for action, _ in drawn[0]} == {"create", "update", "delete"}


class TestRecords:
    """Every record can be mapped."""

    def test_ids_have_18_digits_and_are_unique(self, sandbox: ZohoSandbox) -> None:
        """No id survives a float, so a client that uses floats is found out."""
        ids = [record.id for store in sandbox.stores.values() for record in store]
        assert all(re.fullmatch(r"\d{18}", identifier) for identifier in ids)
        assert len(set(ids)) == len(ids)
        assert all(int(float(identifier)) != int(identifier) for identifier in ids[:50])

    @pytest.mark.parametrize(
        ("module", "name", "numbers"),
        [("items", "name", ITEM_NUMBERS), ("contacts", "contact_name", CONTACT_NUMBERS)],
    )
    def test_have_a_name_a_status_and_readable_numbers(
        self, sandbox: ZohoSandbox, module: str, name: str, numbers: tuple[str, ...]
    ) -> None:
        """A number is a JSON number, a numeric text or an empty one; nothing else is awkward enough to be wrong."""
        for record in _details(sandbox, module):
            assert record[name].strip()
            assert record["status"] in {"active", "inactive"}
            assert all(_is_number(record[field]) for field in numbers if field in record), record

    def test_customers_have_a_currency_of_the_organisation(self, sandbox: ZohoSandbox) -> None:
        """IQD and USD both occur, and nothing else."""
        assert {contact["currency_code"] for contact in _details(sandbox, "contacts")} == {"IQD", "USD"}

    def test_times_are_stamps_without_a_colon(self, sandbox: ZohoSandbox) -> None:
        """A time is in the organisation's zone, in whole seconds."""
        times = [item["last_modified_time"] for item in _details(sandbox, "items") if "last_modified_time" in item]
        assert all(STAMP.fullmatch(time) for time in times)


class TestQuirks:
    """A sandbox of 40 items and 20 customers has every awkward value."""

    @pytest.fixture
    def items(self) -> list[Data]:
        """The details of few items."""
        return _details(ZohoSandbox(SandboxConfig(products=40, customers=0)), "items")

    @pytest.fixture
    def contacts(self) -> list[Data]:
        """The details of few customers."""
        return _details(ZohoSandbox(SandboxConfig(products=0, customers=20)), "contacts")

    def test_of_names(self, items: list[Data]) -> None:
        """Entities, right-to-left marks, emoji, double spaces, markup, Arabic."""
        names = " | ".join(item["name"] for item in items)
        assert all(mark in names for mark in ("&quot;", "&amp;", "\u202b", "\u200f", "😀", "  ", "<b>"))
        assert re.search("[\u0621-\u064a]", names)

    def test_of_skus(self, items: list[Data]) -> None:
        """Duplicates by case and by a trailing space, empty ones, none at all."""
        skus = [item.get("sku") for item in items]
        assert {"HD-4K-01", "hd-4k-01", "HD-4K-01 ", "", None} <= set(skus)

    def test_of_numbers(self, items: list[Data]) -> None:
        """Empty, textual, negative, fractional, with three and four decimals, a code as a number."""
        rates = [item["rate"] for item in items]
        stocks = [item.get("stock_on_hand") for item in items]
        assert {"", "1250.000", Decimal("1250.125"), Decimal("0.1225")} <= set(rates)
        assert {"", "12.5", Decimal("-3.00"), Decimal("1000000.333333")} <= set(stocks)
        assert any(item.get("upc") == 111111111111 for item in items)

    def test_of_what_is_missing(self, items: list[Data]) -> None:
        """A null description, no description, no modification time, inactive rows, custom fields."""
        assert any("description" in item and item["description"] is None for item in items)
        assert any("description" not in item for item in items)
        assert any("last_modified_time" not in item for item in items)
        assert any(item["status"] == "inactive" for item in items)
        assert any(item.get("custom_fields") for item in items)

    def test_of_services(self, sandbox: ZohoSandbox) -> None:
        """A service has no stock keys at all."""
        services = [item for item in _details(sandbox, "items") if item["product_type"] == "service"]
        assert services
        assert all("stock_on_hand" not in item and "locations" not in item for item in services)

    def test_of_contacts(self, contacts: list[Data]) -> None:
        """No persons, empty addresses, two persons, numbers as text, entities in names."""
        assert any(contact["contact_persons"] == [] for contact in contacts)
        assert any(set(contact["billing_address"].values()) == {""} for contact in contacts)
        assert any(len(contact["contact_persons"]) == 2 for contact in contacts)
        assert any(contact["outstanding_receivable_amount"] == "1250.500" for contact in contacts)
        assert any("&amp;" in contact["contact_name"] for contact in contacts)


class TestEdit:
    """What an edit does to a record."""

    @pytest.fixture
    def record(self, sandbox: ZohoSandbox) -> Record:
        """Any item."""
        return next(iter(sandbox.stores["items"]))

    def test_moves_the_time_by_a_second_at_least(self, record: Record) -> None:
        """However quickly a record is edited, its times differ and rise."""
        moments = [record.modified]
        for price in range(5):
            record.edit({"rate": price})
            moments.append(record.modified)
        assert all(later > earlier for earlier, later in pairwise(moments))

    def test_without_touch_leaves_the_time(self, record: Record) -> None:
        """A stock move may leave no trace in the modification time."""
        before = record.modified
        record.edit({"stock_on_hand": 4}, touch=False)
        assert (record.modified, record.data["stock_on_hand"]) == (before, 4)

    def test_forgets_the_encoded_answers(self, sandbox: ZohoSandbox, record: Record) -> None:
        """The next answer shows the edit."""
        store = sandbox.stores["items"]
        store.detail(record)
        record.edit({"name": "Edited"})
        assert decode(store.detail(record))["name"] == decode(store.row(record))["item_name"] == "Edited"

    def test_keeps_exact_digits(self, sandbox: ZohoSandbox, record: Record) -> None:
        """A price goes over the wire with the digits it was given."""
        record.edit({"rate": Decimal("360.100")})
        assert b'"rate":360.100,' in sandbox.stores["items"].detail(record)
        assert msgspec.json.decode(sandbox.stores["items"].row(record))["rate"] == 360.1
