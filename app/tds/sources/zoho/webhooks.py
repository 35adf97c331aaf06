"""Zoho's webhook signature, and what a delivery tells before its body is parsed.

``X-Zoho-Webhook-Signature`` is a hex HMAC-SHA256, keyed with the webhook's secret, over: all query pairs and, of a
form, all its pairs, decoded, sorted together by key, joined as key, value, key, value with nothing between;
then, of any other body, its raw bytes. So says Zoho's page on securing webhooks (Books, Inventory, Billing,
Expense); it leaves open how the query is escaped, and users report deliveries signed over the body alone, hence
the variants. The scheme has no time stamp: a replayed delivery is genuine, and harmless once it is deduplicated.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus

from app.tds.core.errors import SignatureError
from app.tds.core.ports import Delivery, RawRecord
from app.tds.sources.zoho.mapping.convert import RefusedError, identifier
from app.tds.sources.zoho.words import entity_named, operation_named
from app.tds.types import EntityType, OperationType

__all__ = ["DOCUMENTED", "HEADER", "Hints", "Variant", "hints_of", "record_of", "verify"]

HEADER: Final = "x-zoho-webhook-signature"
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_PAIRS: Final = 10_000

Pairs = Sequence[tuple[str, str]]


class Variant(NamedTuple):
    """One reading of the scheme; ``covers_query`` tells whether the query is signed by it."""

    name: str
    covers_query: bool


DOCUMENTED: Final = Variant("documented", covers_query=True)
_PERCENT: Final = Variant("percent-escaped-query", covers_query=True)
_PLUS: Final = Variant("plus-escaped-query", covers_query=True)
_RAW_FORM: Final = Variant("query-and-raw-form", covers_query=True)
_BODY: Final = Variant("body-only", covers_query=False)


class Hints(NamedTuple):
    """What the query of a webhook's address tells, as its owner wrote it there: ``?entity=item&event=deleted``."""

    entity: EntityType | None
    source_entity_id: str | None
    operation: OperationType | None


def verify(secret: str, delivery: Delivery) -> Variant:
    """Which variant a delivery's signature fits.

    Raises:
        SignatureError: it has none, or fits none.
    """
    given = delivery.headers.get(HEADER, "").strip().lower().encode()
    if not given:
        raise SignatureError(f"The delivery has no {HEADER} header: set a secret in the webhook's settings at Zoho.")
    key = secret.encode()
    for variant, message in _messages(delivery):
        if hmac.compare_digest(hmac.new(key, message, sha256).hexdigest().encode(), given):
            return variant
    raise SignatureError("The delivery's signature does not fit the webhook secret of this source.")


def hints_of(query: Pairs) -> Hints:
    """The hints in a query; words that are none of ours are ignored."""
    told: dict[str, str] = {}
    for key, value in query:
        told.setdefault(key.lower(), value)
    ids = (_known_id(told.get(key)) for key in ("id", "item_id", "contact_id", "customer_id"))
    return Hints(
        entity_named(told.get("entity")),
        next((found for found in ids if found), None),
        operation_named(told.get("event")) or operation_named(told.get("operation")),
    )


def record_of(delivery: Delivery, variant: Variant) -> RawRecord:
    """The delivery as a record, its body untouched.

    Raises:
        SignatureError: the query asks for a delete, and the signature does not cover the query: anybody who saw
            one delivery could turn it into a delete.
    """
    hints = hints_of(delivery.query)
    if not variant.covers_query and delivery.query:
        if hints.operation is OperationType.DELETE:
            raise SignatureError("The signature does not cover the query, which asks for a delete.")
        hints = Hints(None, None, None)
    return RawRecord(
        body=delivery.body,
        entity_type=hints.entity,
        source_entity_id=hints.source_entity_id,
        operation=hints.operation,
    )


def _known_id(value: str | None) -> str | None:
    try:
        return identifier(value)
    except RefusedError:
        return None


def _messages(delivery: Delivery) -> Iterator[tuple[Variant, bytes]]:
    body, query = delivery.body, delivery.query
    form = _form(delivery)
    yield DOCUMENTED, _joined([*query, *form]) + (b"" if form else body)
    if query:
        yield _PERCENT, _joined([(quote(k, safe=""), quote(v, safe="")) for k, v in query]) + body
        yield _PLUS, _joined([(quote_plus(k), quote_plus(v)) for k, v in query]) + body
    if form:
        yield _RAW_FORM, _joined(query) + body
    yield _BODY, body


def _form(delivery: Delivery) -> Pairs:
    if not delivery.headers.get("content-type", "").lower().startswith(_FORM):
        return ()
    try:
        return parse_qsl(delivery.body.decode(), keep_blank_values=True, max_num_fields=_MAX_PAIRS)
    except ValueError:  # a wrong character included: such a body is signed, if at all, as it is
        return ()


def _joined(pairs: Pairs) -> bytes:
    return "".join(key + value for key, value in sorted(pairs, key=lambda pair: pair[0])).encode(errors="surrogatepass")
