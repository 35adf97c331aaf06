"""Stored events made into changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from app.tds.core.errors import MappingError
from app.tds.documents import DOCUMENTS
from app.tds.sources.zoho.mapping import map_event
from app.tds.types import EntityType, OperationType
from tests.unit.sources.zoho.peer import event

FORM = "application/x-www-form-urlencoded"
ITEM = {"item_id": "2646610000900000001", "name": "Cable", "rate": 12.5}


def document(body: Any, **more: Any) -> dict[str, Any]:
    """The payload that a body becomes."""
    return json.loads(map_event(event(body, **more)).payload)


def refusals(body: Any, **more: Any) -> list[tuple[str, str]]:
    """Field and code of every error."""
    with pytest.raises(MappingError) as caught:
        map_event(event(body, **more))
    assert caught.value.reason == caught.value.errors[0].code
    return [(error.field, error.code) for error in caught.value.errors]


class TestEnvelope:
    """What a record may be wrapped in."""

    @pytest.mark.parametrize(
        "body",
        [
            ITEM,
            {"item": ITEM},
            {"organization_id": 748812345, "item": ITEM},
            {"data": ITEM},
            {"data": {"item": ITEM}},
            {"JSONString": json.dumps({"item": ITEM})},
            {"JSONString": {"item": ITEM}},
            {"data": {"JSONString": json.dumps(ITEM)}},
            {"item": {**ITEM, "item_id": 2646610000900000001}},
            b"\xef\xbb\xbf" + json.dumps(ITEM).encode(),
        ],
    )
    def test_is_taken_off(self, body: Any) -> None:
        """All ways that Zoho and its users wrap a record lead to the same change."""
        change = map_event(event(body))
        assert (change.entity_type, change.source_entity_id) == (EntityType.PRODUCT, "2646610000900000001")
        assert (change.operation, change.version_time) == (OperationType.UPSERT, None)
        assert change.payload == b'{"name":"Cable","price":"12.5"}'

    @pytest.mark.parametrize(
        "body",
        [
            urlencode({"JSONString": json.dumps({"item": ITEM})}),
            urlencode({"item_id": "2646610000900000001", "name": "Cable", "rate": "12.5", "stock_on_hand": ""}),
        ],
    )
    def test_may_be_a_form(self, body: str) -> None:
        """JSON in a pair, or the pairs themselves."""
        assert document(body.encode(), content_type=FORM) == {"name": "Cable", "price": "12.5"}

    def test_may_be_json_that_is_called_a_form(self) -> None:
        """The body is believed, where it is plainly JSON, and where it is plainly a form."""
        assert document({"item": ITEM}, content_type=FORM)["name"] == "Cable"
        assert document(f"JSONString={quote_plus(json.dumps(ITEM))}".encode())["name"] == "Cable"

    @pytest.mark.parametrize("key", ["contact", "customer"])
    def test_may_name_a_customer_either_way(self, key: str) -> None:
        """Customer rules wrap as contact or as customer."""
        change = map_event(
            event({key: {"contact_id": 460000000026049, "contact_name": "Bowman", "contact_type": "customer"}})
        )
        assert (change.entity_type, change.source_entity_id) == (EntityType.CUSTOMER, "460000000026049")
        assert change.payload == b'{"name":"Bowman"}'

    def test_takes_the_id_that_the_receipt_knew(self) -> None:
        """A body without an id is one of the record that the query named."""
        change = map_event(event({"item": {"name": "X"}}, source_entity_id="815"))
        assert change.source_entity_id == "815"

    @pytest.mark.parametrize(
        ("body", "field", "code"),
        [
            (b"", "", "not_json"),
            (b"<html>", "", "not_json"),
            (b'{"item":{"name":"\xff"}}', "", "not_json"),
            (b'{"item":{"rate":1e99999999999999999999}}', "", "not_json"),
            (b'{"item":{"rate":NaN}}', "", "not_json"),
            (b'{"item":' + b"[" * 100_000, "", "too_deep"),
            ([ITEM], "", "not_an_object"),
            (3, "", "not_an_object"),
            ({"item": [ITEM]}, "item", "not_an_object"),
            ({"item": "x"}, "item", "not_an_object"),
            ({"data": [ITEM]}, "data", "not_an_object"),
            ({"JSONString": "{"}, "JSONString", "not_json"),
            (
                {"data": {"data": {"data": {"data": {"data": {"data": {"data": ITEM}}}}}}},
                "data." * 5 + "data",
                "too_deep",
            ),
            ({"test": True}, "", "unknown_entity"),
            ({}, "", "unknown_entity"),
            (
                {"invoice": {"invoice_id": "1", "customer_id": "2"}, "customer": {"contact_id": "2"}},
                "invoice",
                "unknown_entity",
            ),
            ({"invoice_id": "1", "customer_id": "2", "customer_name": "Acme"}, "", "unknown_entity"),
            ({"vendor": {"contact_id": "1"}}, "vendor", "unknown_entity"),
            ({"contact": {"contact_id": "1", "contact_type": "vendor"}}, "contact.contact_type", "unknown_entity"),
            ({"item": {"name": "X"}}, "item.item_id", "missing_id"),
            ({"item": {"item_id": "", "name": "X"}}, "item.item_id", "missing_id"),
            (b'{"item":{"item_id":2.6466100009e18,"name":"X"}}', "item.item_id", "invalid_field"),
        ],
    )
    def test_is_refused_by_name(self, body: Any, field: str, code: str) -> None:
        """What is not one item or one customer is refused, and told apart."""
        assert refusals(body) == [(field, code)]

    def test_refuses_a_form_that_is_not_text(self) -> None:
        """Bytes that are no UTF-8 are not guessed at."""
        assert refusals(b"name=%FF&item_id=1", content_type=FORM) == [("", "not_json")]


class TestOperation:
    """What is asked for."""

    @pytest.mark.parametrize(
        ("hint", "told", "operation"),
        [
            (None, None, OperationType.UPSERT),
            (OperationType.UPDATE, None, OperationType.UPDATE),
            (None, "created", OperationType.CREATE),
            (OperationType.CREATE, "edit", OperationType.CREATE),
            (None, "launched", OperationType.UPSERT),
            (OperationType.UPDATE, "deleted", OperationType.DELETE),
            (OperationType.DELETE, "updated", OperationType.DELETE),
        ],
    )
    def test_is_what_was_told(self, hint: OperationType | None, told: str | None, operation: OperationType) -> None:
        """By the receipt or by the body; a delete by either is one."""
        body = {"item": ITEM, **({"event": told} if told else {})}
        assert map_event(event(body, operation=hint)).operation is operation

    def test_delete_holds_nothing(self) -> None:
        """A delete knows whose it is, and neither fields nor a time: that of the last edit is not its own."""
        record = {**ITEM, "name": "", "rate": "no", "last_modified_time": "2025-11-13T08:30:00+0300"}
        change = map_event(event({"item": record}, operation=OperationType.DELETE))
        assert (change.payload, change.version_time) == (b"{}", None)

    def test_delete_needs_no_body(self) -> None:
        """The query may say it all."""
        change = map_event(event(b"", entity_type="product", source_entity_id="7", operation=OperationType.DELETE))
        assert (change.entity_type, change.source_entity_id) == (EntityType.PRODUCT, "7")

    def test_delete_needs_an_id(self) -> None:
        """Without one, nobody knows what to delete."""
        assert refusals(b"", entity_type="product", operation=OperationType.DELETE) == [("item_id", "missing_id")]


class TestVersionTime:
    """When the source changed a record."""

    @pytest.mark.parametrize(
        ("times", "moment"),
        [
            ({"last_modified_time": "2025-11-13T08:30:00+0300"}, datetime(2025, 11, 13, 5, 30, tzinfo=UTC)),
            ({"last_modified_time": "", "updated_time": "2013-01-24"}, datetime(2013, 1, 24, tzinfo=UTC)),
            ({"last_modified_time": ""}, None),
        ],
    )
    def test_is_read_from_either_name(self, times: dict[str, str], moment: datetime | None) -> None:
        """Empty is as good as absent."""
        assert map_event(event({**ITEM, **times})).version_time == moment

    def test_may_not_be_nonsense(self) -> None:
        """A time that cannot be read decides nothing, so it is an error."""
        assert refusals({**ITEM, "last_modified_time": "soon"}) == [("last_modified_time", "invalid_field")]


class TestProduct:
    """Items."""

    def test_maps_a_list_row(self) -> None:
        """Every field of a row, in canonical names, numbers as exact text."""
        row = {
            "item_id": "1",
            "name": "كيبل &quot;4K&quot;",
            "item_name": "x",
            "unit": "pcs",
            "status": "inactive",
            "description": "",
            "brand": "B",
            "manufacturer": "M",
            "rate": "1250.000",
            "purchase_rate": 8.25,
            "tax_name": "Sales",
            "tax_percentage": 12.0,
            "product_type": "goods",
            "item_type": "inventory",
            "stock_on_hand": -3.0,
            "available_stock": "",
            "actual_available_stock": 0,
            "reorder_level": "",
            "sku": "HD-4K-02 ",
            "upc": 111111111111,
            "ean": 111111111112,
            "isbn": "",
            "part_number": "P 1",
            "cf_wholesale_iqd": "12,250",
            "locations": [{"location_stock_on_hand": ""}],
        }
        assert document(row) == {
            "name": 'كيبل "4K"',
            "sku": "HD-4K-02 ",
            "description": None,
            "unit": "pcs",
            "status": "inactive",
            "kind": "goods",
            "brand": "B",
            "manufacturer": "M",
            "upc": "111111111111",
            "ean": "111111111112",
            "isbn": None,
            "part_number": "P 1",
            "price": "1250",
            "purchase_price": "8.25",
            "tax_name": "Sales",
            "tax_percentage": "12",
            "stock_on_hand": "-3",
            "actual_available_stock": "0",
            "reorder_level": None,
        }

    def test_knows_no_more_than_the_body(self) -> None:
        """A service has no stock keys: its stock is not known, and never touched."""
        service = {"item_id": "1", "name": "Delivery", "product_type": "service", "rate": ""}
        assert document(service) == {"name": "Delivery", "kind": "service", "price": None}

    def test_tells_every_error_by_the_body_s_own_names(self) -> None:
        """All at once: what a converter refuses and what the document refuses."""
        body = {
            "item": {"item_id": "1", "name": "", "rate": "12,250", "status": "gone", "sku": "x" * 501, "unit": "a\x00"}
        }
        assert sorted(refusals(body)) == [
            ("item.name", "empty"),
            ("item.rate", "invalid_field"),
            ("item.sku", "invalid_field"),
            ("item.status", "invalid_field"),
            ("item.unit", "nul_character"),
        ]

    @pytest.mark.parametrize("rate", [0.1234567, 10**15])
    def test_refuses_what_a_price_cannot_hold(self, rate: float) -> None:
        """Six decimals and fourteen digits before them; nothing is rounded in silence."""
        assert refusals({**ITEM, "rate": rate}) == [("rate", "invalid_field")]


CONTACT: dict[str, Any] = {
    "contact_id": "460000000026049",
    "contact_name": "Bowman &amp; Co",
    "contact_type": "customer",
    "customer_sub_type": "business",
    "company_name": "",
    "credit_limit": 1000.0,
    "payment_terms": 15,
    "payment_terms_label": "Net 15",
    "currency_code": "IQD",
    "outstanding_receivable_amount": 250,
    "unused_credits_receivable_amount": "12.3455",
    "primary_contact_id": "51",
    "billing_address": {"attention": "", "address": "4900 Hopyard Rd", "zip": 94588, "country": "U.S.A"},
    "shipping_address": {"address": "", "city": ""},
    "contact_persons": [
        {"contact_person_id": "50", "first_name": "A", "email": "a@example.com"},
        {"contact_person_id": 51, "email": "b@example.com", "phone": "", "is_primary_contact": True},
    ],
    "custom_fields": [{"index": 1, "value": "GBGD078", "label": "VAT ID"}],
}


class TestCustomer:
    """Contacts."""

    def test_maps_a_detail(self) -> None:
        """Addresses, persons and amounts, these with the currency's decimals; e-mail of the primary person."""
        assert document({"contact": CONTACT}) == {
            "name": "Bowman & Co",
            "company_name": None,
            "kind": "business",
            "currency": "IQD",
            "email": "b@example.com",
            "phone": None,
            "payment_terms": 15,
            "payment_terms_label": "Net 15",
            "credit_limit": "1000.000",
            "outstanding_receivable": "250.000",
            "unused_credits": "12.346",
            "billing_address": {"attention": None, "street": "4900 Hopyard Rd", "zip": "94588", "country": "U.S.A"},
            "shipping_address": None,
            "contact_persons": [
                {"source_id": "50", "first_name": "A", "email": "a@example.com"},
                {"source_id": "51", "email": "b@example.com", "phone": None, "is_primary": True},
            ],
            "custom_fields": {"VAT ID": "GBGD078"},
        }

    def test_maps_a_list_row(self) -> None:
        """A row knows e-mail and telephones itself, and neither addresses nor persons."""
        row = {
            "contact_id": "1",
            "customer_name": "Acme",
            "email": "pat@example.com",
            "phone": "",
            "language_code": "en",
        }
        assert document(row) == {"name": "Acme", "language": "en", "email": "pat@example.com", "phone": None}

    @pytest.mark.parametrize(
        ("persons", "primary_id", "email"),
        [
            ([{"contact_person_id": "7", "email": "x@example.com"}], "7", {"email": "x@example.com"}),
            ([{"contact_person_id": "7", "email": "x@example.com"}], "8", {}),
            ([], "", {"email": None, "phone": None, "mobile": None}),
        ],
    )
    def test_reaches_by_the_primary_person_only(
        self, persons: list[Any], primary_id: str, email: dict[str, Any]
    ) -> None:
        """By the flag or the id; nobody at all is known emptiness; an unknown primary is not guessed."""
        found = document({"contact_id": "1", "primary_contact_id": primary_id, "contact_persons": persons})
        assert {key: found[key] for key in ("email", "phone", "mobile") if key in found} == email

    def test_believes_the_contact_before_its_primary_person(self) -> None:
        """What a body says of the contact itself is not overruled."""
        persons = [{"contact_person_id": "7", "email": "x@example.com", "phone": "1", "is_primary_contact": True}]
        found = document({"contact_id": "1", "email": "", "contact_persons": persons})
        assert (found["email"], found["phone"]) == (None, "1")

    def test_tells_every_error_with_its_path(self) -> None:
        """Errors in addresses, persons and custom fields are named down to the member."""
        contact: dict[str, Any] = {
            "contact_id": "1",
            "contact_name": None,
            "payment_terms": 1.5,
            "currency_code": "dollar",
            "notes": [1],
            "billing_address": {"city": {}, "zip": True},
            "shipping_address": {"address": "x" * 70_000},
            "contact_persons": [{"email": "a"}, 5, {"contact_person_id": "3", "email": False}],
            "custom_fields": [{"label": "a", "value": "\x00"}],
        }
        assert sorted(refusals({"contact": contact})) == [
            ("contact.billing_address.city", "invalid_field"),
            ("contact.billing_address.zip", "invalid_field"),
            ("contact.contact_name", "empty"),
            ("contact.contact_persons.0.contact_person_id", "missing_id"),
            ("contact.contact_persons.1", "invalid_field"),
            ("contact.contact_persons.2.email", "invalid_field"),
            ("contact.currency_code", "invalid_field"),
            ("contact.custom_fields.0", "nul_character"),
            ("contact.notes", "invalid_field"),
            ("contact.payment_terms", "invalid_field"),
            ("contact.shipping_address.address", "invalid_field"),
        ]

    def test_refuses_one_person_twice(self) -> None:
        """Two persons of one id cannot both be kept."""
        persons = [{"contact_person_id": "1"}, {"contact_person_id": 1}]
        assert refusals({"contact_id": "1", "contact_persons": persons}) == [("contact_persons", "duplicate_id")]


@pytest.mark.parametrize(
    "body",
    [
        ITEM | {"rate": 12.50, "purchase_rate": "8.250", "stock_on_hand": -3, "sku": "", "name": "كيبل &amp; HDMI"},
        ITEM | {"rate": 12500, "reorder_level": 1e3, "custom_fields": [{"api_name": "cf_x", "value": 1.50}]},
        {"contact_id": "7", "contact_name": "Ann", "credit_limit": 59750.0, "billing_address": {"city": "Erbil"}},
    ],
    ids=["item", "whole numbers", "customer"],
)
def test_the_document_is_what_its_payload_says(body: dict[str, Any]) -> None:
    """Whether a change is applied at once or from the queue: the same fields are known, with the same values."""
    change = map_event(event(body))
    assert change.document is not None
    parsed = DOCUMENTS[change.entity_type].model_validate_json(change.payload)
    assert parsed == change.document
    assert parsed.known() == change.document.known()
    assert parsed.model_fields_set == change.document.model_fields_set
