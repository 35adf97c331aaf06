"""From the bytes of an event to the one record in it: what wraps it, what it is, what happened to it.

Accepted: ``{"item": {...}}``, ``{"contact": {...}}``, ``{"customer": {...}}``, a record by itself,
``{"data": ...}``, ``{"JSONString": "..."}`` (in JSON or in a form), pairs of a form; one in another.
"""

from __future__ import annotations

from decimal import Decimal, DecimalException
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl

import msgspec

from app.tds.core.errors import FieldError, MappingError
from app.tds.core.ports import StoredEvent
from app.tds.sources.zoho.mapping.convert import Fields
from app.tds.sources.zoho.words import ENTITIES, ENTITY_IDS, operation_named
from app.tds.types import EntityType, OperationType

__all__ = ["Located", "locate"]

_MAX_LAYERS = 6
_MAX_PAIRS = 10_000
_BOM = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_MAPPED: Final = frozenset(ENTITY_IDS)
_WORDS: Final = frozenset(ENTITIES)
_OURS: Final = tuple(word for word, entity in ENTITIES.items() if entity in _MAPPED)
_THEIRS: Final = tuple(word for word, entity in ENTITIES.items() if entity not in _MAPPED)
_IDS: Final = tuple(key for keys in ENTITY_IDS.values() for key in keys)
# A record that has one of these is not an item or a contact, though it names one.
_FOREIGN_IDS: Final = frozenset({
    "bill_id",
    "composite_item_id",
    "contact_person_id",
    "creditnote_id",
    "estimate_id",
    "inventory_adjustment_id",
    "invoice_id",
    "line_item_id",
    "package_id",
    "payment_id",
    "purchaseorder_id",
    "salesorder_id",
    "transfer_order_id",
    "vendor_credit_id",
})  # fmt: skip


class Located(NamedTuple):
    """A record and what is told of it; ``at`` is its path in the body, with a dot at its end, or ``""``."""

    entity: EntityType
    record: Fields
    at: str
    operation: OperationType | None


def locate(event: StoredEvent) -> Located:
    """Find the record of an event.

    Raises:
        MappingError: there is none, or none of an entity that is mapped.
    """
    if not event.body and event.operation is OperationType.DELETE:
        return Located(_entity({}, event.entity_type, ""), {}, "", event.operation)
    layer, at, operation = _decoded(event), "", None
    for _ in range(_MAX_LAYERS):
        if type(layer) is not dict:
            raise _refusal(at, "must be a JSON object", "not_an_object")
        fields = cast("Fields", layer)
        operation = operation or operation_named(fields.get("event"))
        inner = _inner(fields)
        if inner is None:
            return Located(_entity(fields, event.entity_type, at), fields, at, operation)
        key, layer = inner
        at = f"{at}{key}."
        if key in ENTITIES:
            return Located(*_wrapped(key, layer, at), at, operation)
    raise _refusal(at, "is wrapped too often", "too_deep")


def _decoded(event: StoredEvent) -> Any:
    body = event.body.removeprefix(_BOM)
    form = event.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")
    if (form and not body.lstrip().startswith(b"{")) or body.startswith(b"JSONString="):
        return _pairs(body)
    return _json(body, "")


def _pairs(body: bytes) -> Fields:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PAIRS))
    except ValueError:  # a wrong character included
        raise _refusal("", "is not a form in UTF-8", "not_json") from None


def _json(body: bytes | str, at: str) -> Any:
    try:
        return _DECODER.decode(body)
    except RecursionError:
        raise _refusal(at, "is nested too deeply", "too_deep") from None
    except (msgspec.DecodeError, UnicodeError, DecimalException):
        raise _refusal(at, "is not JSON in UTF-8", "not_json") from None


def _inner(fields: Fields) -> tuple[str, Any] | None:
    """What ``fields`` are a wrapper of, with its key; None where they are the record itself."""
    if "JSONString" in fields:
        inner = fields["JSONString"]
        return "JSONString", _json(inner, "JSONString.") if type(inner) is str else inner
    flat = any(fields.get(key) for key in _IDS)
    if not _WORDS.isdisjoint(fields):
        # An invoice may come with its customer beside it, an item with no invoice: so others' words first.
        for key in _OURS if flat else (*_THEIRS, *_OURS):
            if type(fields.get(key)) is dict:
                return key, fields[key]
    return None if flat else next(((key, fields[key]) for key in ("data", *ENTITIES) if key in fields), None)


def _wrapped(key: str, record: Any, at: str) -> tuple[EntityType, Fields]:
    entity = ENTITIES[key]
    if entity not in _MAPPED:
        raise _refusal(at, f"is a {key}, which is not synchronised", "unknown_entity", entity)
    if type(record) is not dict:
        raise _refusal(at, "must be a JSON object", "not_an_object")
    _customers_only(entity, cast("Fields", record), at)
    return entity, cast("Fields", record)


def _entity(record: Fields, hint: str | None, at: str) -> EntityType:
    """What a record by itself is: by the id it has, where two are possible by the hint, else by the hint."""
    if not _FOREIGN_IDS.isdisjoint(record):
        raise _refusal(at, "is neither an item nor a contact", "unknown_entity")
    hinted = next((entity for entity in _MAPPED if entity == hint), None)
    having = [entity for entity, keys in ENTITY_IDS.items() if any(key in record for key in keys)]
    entity = hinted if hinted in having or not having else having[0]
    if entity is None:
        raise _refusal(at, "is neither an item nor a contact", "unknown_entity")
    _customers_only(entity, record, at)
    return entity


def _customers_only(entity: EntityType, record: Fields, at: str) -> None:
    if entity is EntityType.CUSTOMER and record.get("contact_type") not in (None, "", "customer"):
        raise _refusal(f"{at}contact_type.", "is not customer: only customers are synchronised", "unknown_entity")


def _refusal(at: str, message: str, code: str, entity: str | None = None) -> MappingError:
    return MappingError([FieldError(at.removesuffix("."), message, code)], code=code, entity_type=entity)
