"""Canonical documents: what they take, round and refuse."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.tds.documents import CustomerDocument, Document, ProductDocument, decimals_of


def read(kind: type[Document], /, **values: Any) -> Document:
    """A document from its JSON, as the pipeline reads it."""
    return kind.model_validate_json(json.dumps(values))


def refused(kind: type[Document], /, **values: Any) -> list[tuple[Any, ...]]:
    """Where a document is refused."""
    with pytest.raises(ValidationError) as caught:
        read(kind, **values)
    return [error["loc"] for error in caught.value.errors()]


class TestDecimalsOf:
    """Digits of a currency's amounts."""

    @pytest.mark.parametrize(("currency", "digits"), [("IQD", 3), ("USD", 2), ("JPY", 0), (None, 3), ("XXX", 2)])
    def test_follows_iso_4217(self, currency: str | None, digits: int) -> None:
        """Dinars have three, dollars two, yen none; three where it is not known."""
        assert decimals_of(currency) == digits


class TestCustomerDocument:
    """Amounts have a currency."""

    @pytest.mark.parametrize(
        ("currency", "given_amount", "kept"),
        [("USD", "10.005", "10.01"), ("USD", "-10.005", "-10.01"), ("IQD", "1.2345", "1.235"), ("JPY", "9.5", "10")],
    )
    @pytest.mark.parametrize("field", ["credit_limit", "outstanding_receivable", "unused_credits"])
    def test_rounds_amounts_half_up(self, field: str, currency: str, given_amount: str, kept: str) -> None:
        """To what the currency has; a source may write more."""
        document = read(CustomerDocument, currency=currency, **{field: given_amount})
        assert getattr(document, field) == Decimal(kept)

    @given(st.decimals(allow_nan=False, allow_infinity=False))
    def test_takes_or_refuses_any_number(self, number: Decimal) -> None:
        """Whatever a source writes as an amount: a document or a ValidationError, nothing else."""
        text = json.dumps({"name": "a", "credit_limit": str(number)})
        try:
            document = CustomerDocument.model_validate_json(text)
        except ValidationError:
            return
        assert document.credit_limit is not None
        assert abs(document.credit_limit - number) <= Decimal("0.0005")

    @pytest.mark.parametrize("amount", ["1e30", "-1e400", 10**40, "NaN", "Infinity", "x", True, [], {}, "1" * 30])
    @pytest.mark.parametrize("currency", ["USD", None])
    def test_refuses_what_is_no_amount(self, amount: object, currency: str | None) -> None:
        """Nothing but a ValidationError leaves it: anything else would cost a whole batch."""
        assert refused(CustomerDocument, name="a", currency=currency, credit_limit=amount)

    @pytest.mark.parametrize("currency", ["usd", "", "DOLLAR", 5, [], {}, "US\n"])
    def test_refuses_what_is_no_currency(self, currency: object) -> None:
        """Three capital letters."""
        assert refused(CustomerDocument, name="a", currency=currency, credit_limit="1")

    def test_takes_one_person_once(self) -> None:
        """Two persons of one id are one row: the database cannot write both in one statement."""
        person = {"source_id": "7"}
        assert refused(CustomerDocument, name="a", contact_persons=[person, person])


class TestDocument:
    """What all documents share."""

    @pytest.mark.parametrize("kind", [ProductDocument, CustomerDocument])
    def test_knows_what_was_given_and_nothing_else(self, kind: type[Document]) -> None:
        """A None that was given is knowledge."""
        assert read(kind, name="a", status="inactive").known() == {"name": "a", "status": "inactive"}
        assert read(kind, name="a", kind=None).known() == {"name": "a", "kind": None}

    @pytest.mark.parametrize("kind", [ProductDocument, CustomerDocument])
    def test_refuses_fields_it_has_not(self, kind: type[Document]) -> None:
        """A field that is misspelt is not lost in silence."""
        assert refused(kind, name="a", prise="1") == [("prise",)]

    @pytest.mark.parametrize("name", ["", "\x00", "a\x00b", "x" * 501, None, 5])
    def test_refuses_a_name_that_no_row_can_hold(self, name: object) -> None:
        """Empty, with a NUL, too long, or no text."""
        assert refused(ProductDocument, name=name) == [("name",)]

    @pytest.mark.parametrize("fields", [{"a": "\x00"}, {"\x00": 1}, {"a": [{"b": "\x00"}]}])
    def test_refuses_a_nul_anywhere_in_custom_fields(self, fields: dict[str, Any]) -> None:
        """The database cannot hold it, however deep it is."""
        assert refused(ProductDocument, name="a", custom_fields=fields) == [("custom_fields",)]

    def test_refuses_custom_fields_that_are_nested_too_deep(self) -> None:
        """Sixteen levels are enough for anybody's forms."""
        deep: Any = "x"
        for _ in range(30):
            deep = {"a": deep}
        assert refused(ProductDocument, name="a", custom_fields=deep) == [("custom_fields",)]

    @pytest.mark.parametrize("price", ["NaN", "Infinity", "1e20", "0.0000001", "x", True])
    def test_refuses_prices_that_no_column_can_hold(self, price: object) -> None:
        """Twenty digits, six of them after the point."""
        assert refused(ProductDocument, name="a", price=price) == [("price",)]
