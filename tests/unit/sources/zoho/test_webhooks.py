"""Signatures of deliveries, and the hints in their query."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import pytest
from pydantic import SecretStr

from app.tds.core.errors import SignatureError, SourceDisabledError
from app.tds.core.ports import Delivery
from app.tds.sources.zoho import ZohoSource
from app.tds.sources.zoho.webhooks import HEADER, hints_of, verify
from app.tds.types import EntityType, OperationType
from tests.unit.sources.zoho.peer import SECRETS, settings

SECRET = "mysecretkey12"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json;charset=UTF-8"
Query = list[tuple[str, str]]


def hexed(text: str, secret: str = SECRET) -> str:
    """The signature of a string to sign."""
    return hmac.new(secret.encode(), text.encode(), sha256).hexdigest()


def delivery(body: str, signature: str | None, query: Query | None = None, content_type: str = JSON) -> Delivery:
    """A delivery as the web application hands it on."""
    signed = {} if signature is None else {HEADER: signature}
    return Delivery(body=body.encode(), headers={"content-type": content_type, **signed}, query=query or [])


class TestVerify:
    """Whether a signature fits."""

    @pytest.mark.parametrize(
        ("query", "content_type", "body", "signature"),
        [
            (
                [("subscription_id", "90343"), ("name", "basic")],
                JSON,
                '{"created_date":"2019-03-06","event_id":"5675"}',
                "ec0357bb87b946f9b88f3d80899810913dfbc310ada921e1d1e25575d5f63ee9",
            ),
            ([], JSON, '{"test":true}', "beeba5fe977923913952d4d245be79be8daaea0e1d7c2785731491518b098653"),
            (
                [],
                JSON,
                '{"item":{"name":"ماوس &amp; كيبل"}}',
                "929194b0cb3a72f71454f34f5bce5eefa0afc55be622f94423ef8c032bb9ac71",
            ),
            (
                [("b", "x y"), ("a", "1&2")],
                JSON,
                "{}",
                "a8a6e9df557cd36ddcbfb963b31a4b9b88cf429158a7279d8fc3e6c9c26ccab4",
            ),
            (
                [("name", "basic")],
                FORM,
                "total=100&customer_name=A+B",
                "3f715515186c2ad637cdfb5b3d244a7a36c013e6ed6bd76c703d5863017ed99c",
            ),
        ],
    )
    def test_knows_the_documented_signatures(self, query: Query, content_type: str, body: str, signature: str) -> None:
        """Zoho's own example and four strings made by its rules, with hashes computed elsewhere."""
        for written in (signature, signature.upper()):
            assert verify(SECRET, delivery(body, written, query, content_type)).name == "documented"

    @pytest.mark.parametrize(
        ("signed", "content_type", "body", "name"),
        [
            ("ax%20y{}", JSON, "{}", "percent-escaped-query"),
            ("ax+y{}", JSON, "{}", "plus-escaped-query"),
            ("{}", JSON, "{}", "body-only"),
            ("ax yb=1", FORM, "b=1", "query-and-raw-form"),
        ],
    )
    def test_tells_which_other_reading_fits(self, signed: str, content_type: str, body: str, name: str) -> None:
        """What Zoho's page leaves open is tried, and the one that fits is named."""
        assert verify(SECRET, delivery(body, hexed(signed), [("a", "x y")], content_type)).name == name

    @pytest.mark.parametrize("signature", [None, "", "  "])
    def test_refuses_the_unsigned(self, signature: str | None) -> None:
        """No header, or an empty one, is no signature."""
        with pytest.raises(SignatureError, match="no x-zoho-webhook-signature"):
            verify(SECRET, delivery("{}", signature))

    @pytest.mark.parametrize("signature", [hexed("{}", "anothersecret"), hexed("{ }"), "é", hexed("{}")[:-1]])
    def test_refuses_the_wrongly_signed(self, signature: str) -> None:
        """Another key, another body, nonsense, or half of the truth."""
        with pytest.raises(SignatureError, match="does not fit"):
            verify(SECRET, delivery("{}", signature))

    def test_survives_a_body_that_is_no_form(self) -> None:
        """A form that is not UTF-8 is checked as raw bytes."""
        body = b"name=\xff"
        signature = hmac.new(SECRET.encode(), body, sha256).hexdigest()
        assert verify(SECRET, Delivery(body=body, headers={"content-type": FORM, HEADER: signature}))


class TestHintsOf:
    """What a query tells."""

    @pytest.mark.parametrize(
        ("query", "hints"),
        [
            ([("entity", "item"), ("event", "deleted")], (EntityType.PRODUCT, None, OperationType.DELETE)),
            ([("entity", "Customer"), ("event", "add")], (EntityType.CUSTOMER, None, OperationType.CREATE)),
            ([("event", "edit"), ("item_id", "815")], (None, "815", OperationType.UPDATE)),
            ([("entity", "invoice"), ("operation", "updated")], (EntityType.INVOICE, None, OperationType.UPDATE)),
            ([("entity", "rocket"), ("event", "launched"), ("id", "${ITEM.ID}")], (None, None, None)),
            ([], (None, None, None)),
        ],
    )
    def test_reads_known_words_only(self, query: Query, hints: tuple[Any, ...]) -> None:
        """Words that are none of ours are ignored, placeholders that were never filled in too."""
        assert hints_of(query) == hints


class TestReceive:
    """A delivery at the source."""

    def test_keeps_the_body_as_it_came(self) -> None:
        """Not a byte is changed, and nothing is parsed: not even JSON is asked for."""
        body = " no { json \n"
        record = ZohoSource(settings()).receive(
            delivery(body, hexed(f"entityitem{body}", SECRETS[2]), [("entity", "item")])
        )
        assert (record.body, record.entity_type) == (body.encode(), "product")

    def test_keeps_a_form_as_it_came(self) -> None:
        """A form body is stored raw too; the mapping reads it."""
        given = delivery("JSONString=%7B%7D", hexed("JSONString{}", SECRETS[2]), content_type=FORM)
        assert ZohoSource(settings()).receive(given).body == b"JSONString=%7B%7D"

    @pytest.mark.parametrize("secret", [None, SecretStr("")])
    def test_is_closed_without_a_secret(self, secret: SecretStr | None) -> None:
        """A missing secret never means that all are let in."""
        with pytest.raises(SourceDisabledError):
            ZohoSource(settings(webhook_secret=secret)).receive(delivery("{}", hexed("{}", "")))

    def test_believes_no_query_that_is_not_signed(self) -> None:
        """Where only the body is signed, the query may be anybody's."""
        record = ZohoSource(settings()).receive(
            delivery("{}", hexed("{}", SECRETS[2]), [("entity", "item"), ("id", "7")])
        )
        assert (record.entity_type, record.source_entity_id, record.operation) == (None, None, None)

    def test_refuses_a_delete_that_is_not_signed(self) -> None:
        """A delivery that was seen on its way cannot be turned into a delete."""
        with pytest.raises(SignatureError, match="delete"):
            ZohoSource(settings()).receive(delivery("{}", hexed("{}", SECRETS[2]), [("event", "deleted")]))
