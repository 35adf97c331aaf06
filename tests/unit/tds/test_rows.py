"""From documents to rows: what a change would alter."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tds.core.ports import Applied, Assignment, Rejected
from app.tds.documents import Address, ContactPerson, CustomerDocument, Document, ProductDocument
from app.tds.targets.rows import Plan, plain, plan, to_rows
from app.tds.types import Outcome

ID = "019a0000-0000-7000-8000-000000000001"
ROW: dict[str, Any] = {name: getattr(ProductDocument(), name) for name in ProductDocument.model_fields} | {
    "name": "Cable",
    "sku": "C-1",
    "price": Decimal("12.500000"),
}


def planned(document: Document | None, *, local_id: str | None = ID, row: dict[str, Any] | None = None) -> Plan:
    """The plan for one product."""
    one = Assignment(source="zoho", source_entity_id="1", local_id=local_id, document=document)
    return plan([one], {ID: row} if row else {})


def only(made: Plan) -> Applied:
    """The one result."""
    (result,) = made.results
    assert isinstance(result, Applied)
    return result


class TestPlan:
    """What to write, and what to answer."""

    def test_creates_what_is_not_here_with_the_defaults_of_what_is_not_known(self) -> None:
        """A row is written whole."""
        made = planned(ProductDocument(name="Cable"), local_id=None)
        ((identifier, row),) = made.rows.items()
        assert (row["name"], row["status"], row["sku"], row["custom_fields"]) == ("Cable", "active", None, {})
        assert only(made) == Applied(
            local_id=str(identifier), outcome=Outcome.CREATED, after={"name": "Cable"}, changed=["name"]
        )

    def test_brings_a_deleted_row_back_under_its_id(self) -> None:
        """Whoever kept the id finds the entity again."""
        made = planned(ProductDocument(name="Cable"))
        assert list(made.rows) == [ID]
        assert only(made).outcome is Outcome.CREATED

    @pytest.mark.parametrize("document", [ProductDocument(sku="x"), ProductDocument()])
    def test_rejects_a_creation_without_a_name(self, document: ProductDocument) -> None:
        """A row without a name is none; nothing is written."""
        made = planned(document, local_id=None)
        (result,) = made.results
        assert isinstance(result, Rejected)
        assert [error.field for error in result.errors] == ["name"]
        assert not made.rows

    def test_updates_what_differs_and_keeps_what_is_not_known(self) -> None:
        """Before and after hold the changed fields; the row is written whole."""
        made = planned(ProductDocument(name="Cable", price=Decimal(13)), row=ROW)
        assert made.rows == {ID: {**ROW, "price": "13"}}
        result = only(made)
        assert (result.outcome, result.changed) == (Outcome.UPDATED, ["price"])
        assert (result.before, result.after) == ({"price": "12.5"}, {"price": "13"})

    def test_empties_a_field_that_is_known_to_be_empty(self) -> None:
        """None is a value."""
        assert planned(ProductDocument(sku=None), row=ROW).rows[ID]["sku"] is None

    @pytest.mark.parametrize("price", ["12.5", "12.50", "12.500000", "1.25E+1"])
    def test_leaves_alone_what_is_equal(self, price: str) -> None:
        """Trailing zeros make no difference."""
        made = planned(ProductDocument(name="Cable", price=Decimal(price)), row=ROW)
        assert (only(made).outcome, made.rows) == (Outcome.UNCHANGED, {})

    def test_compares_nested_documents_by_their_values(self) -> None:
        """A row read from the database and a document that knows fewer fields of an address are equal."""
        values: dict[str, Any] = dict.fromkeys(Address.model_fields) | {"city": "Basra"}
        row = {name: getattr(CustomerDocument(), name) for name in CustomerDocument.model_fields}
        person = ContactPerson.model_construct(**ContactPerson(source_id="7").model_dump())
        row |= {"name": "A", "billing_address": Address.model_construct(**values), "contact_persons": [person]}
        document = CustomerDocument(
            name="A", billing_address=Address(city="Basra"), contact_persons=[ContactPerson(source_id="7")]
        )
        assert only(planned(document, row=row)).outcome is Outcome.UNCHANGED

    def test_deletes_and_tells_the_whole_row(self) -> None:
        """Before holds what was there."""
        made = planned(None, row=ROW)
        assert made.deleted == [ID]
        result = only(made)
        assert (result.outcome, result.after) == (Outcome.DELETED, None)
        assert result.before is not None
        assert (result.before["sku"], result.before["price"]) == ("C-1", "12.5")

    @pytest.mark.parametrize("local_id", [None, ID])
    def test_has_nothing_to_delete_where_nothing_is(self, local_id: str | None) -> None:
        """A tombstone's second delete, or the delete of what never came."""
        made = planned(None, local_id=local_id)
        assert (only(made).outcome, made.deleted) == (Outcome.UNCHANGED, [])

    def test_answers_in_the_order_it_was_asked(self) -> None:
        """One result an assignment."""
        documents = [ProductDocument(name="a"), None, ProductDocument(), ProductDocument(name="b")]
        asked = [
            Assignment(source="zoho", source_entity_id=str(number), local_id=None, document=document)
            for number, document in enumerate(documents)
        ]
        results = plan(asked, {}).results
        assert [getattr(result, "outcome", None) for result in results] == ["created", "unchanged", None, "created"]


class TestPlain:
    """Values as JSON has them."""

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**14), max_value=10**14))
    def test_writes_a_decimal_as_the_same_number(self, number: Decimal) -> None:
        """No exponent, no zeros at the end, and no digit lost."""
        written = plain(number)
        assert Decimal(written) == number
        assert "E" not in written
        assert "." not in written or not written.endswith("0")

    def test_unfolds_documents_in_lists(self) -> None:
        """Contact persons become dicts."""
        assert plain([ContactPerson(source_id="1")])[0]["source_id"] == "1"

    def test_leaves_other_values_as_they_are(self) -> None:
        """Texts, numbers, None."""
        assert [plain(value) for value in ("a", 1, None, True)] == ["a", 1, None, True]


class TestToRows:
    """Rows as the JSON array that the upserts take."""

    def test_writes_ids_as_text(self) -> None:
        """And what is planned holds money as text already: it never becomes a float."""
        document = ProductDocument(name="Cable", price=Decimal("0.10"), custom_fields={"a": [1]})
        made = planned(document, local_id=None)
        (row,) = json.loads(to_rows([{"id": UUID(ID), **row} for row in made.rows.values()]))
        row = {name: row[name] for name in ("id", "price", "custom_fields")}
        assert row == {"id": ID, "price": "0.1", "custom_fields": {"a": [1]}}
