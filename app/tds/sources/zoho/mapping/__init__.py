"""Stored events of Zoho made into changes. Pure, and quick: some tens of microseconds an item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from app.tds.core.errors import FieldError, MappingError
from app.tds.core.ports import Change, StoredEvent
from app.tds.documents import Document
from app.tds.sources.zoho.mapping.convert import Fields, RefusedError, identifier, moment
from app.tds.sources.zoho.mapping.customer import customer_of
from app.tds.sources.zoho.mapping.envelope import Located, locate
from app.tds.sources.zoho.mapping.product import product_of
from app.tds.sources.zoho.words import ENTITY_IDS
from app.tds.types import EntityType, OperationType

__all__ = ["map_event"]

_DOCUMENTS: Final[dict[EntityType, Callable[[Fields, list[FieldError]], Document | None]]] = {
    EntityType.PRODUCT: product_of,
    EntityType.CUSTOMER: customer_of,
}
_TIMES: Final = ("last_modified_time", "updated_time")


def map_event(event: StoredEvent) -> Change:
    """The change that an event tells. Errors are named by the keys of the body.

    A delete knows only whose it is: the record that Zoho sends with it tells when it was last edited, which
    is not when it was deleted, so a delete has no version time.

    Raises:
        MappingError: with every reason; ``reason`` is the code of the first.
    """
    located = locate(event)
    errors: list[FieldError] = []
    source_entity_id = _id(located, event.source_entity_id, errors)
    operation = _operation(event.operation, located.operation)
    if operation is OperationType.DELETE:
        _raise_any(errors, located, source_entity_id)
        return Change(
            entity_type=located.entity,
            source_entity_id=source_entity_id,
            operation=operation,
            payload=b"{}",
            version_time=None,
        )
    version_time = _version_time(located.record, errors)
    document = _DOCUMENTS[located.entity](located.record, errors)
    _raise_any(errors, located, source_entity_id)
    payload = b"{}" if document is None else document.model_dump_json(exclude_unset=True).encode()
    return Change(
        entity_type=located.entity,
        source_entity_id=source_entity_id,
        operation=operation,
        payload=payload,
        version_time=version_time,
        document=document,
    )


def _operation(hint: OperationType | None, told: OperationType | None) -> OperationType:
    if OperationType.DELETE in (hint, told):
        return OperationType.DELETE
    return hint or told or OperationType.UPSERT


def _id(located: Located, hint: str | None, errors: list[FieldError]) -> str:
    keys = ENTITY_IDS[located.entity]
    for key in keys:
        try:
            if found := identifier(located.record.get(key)):
                return found
        except RefusedError as refused:
            errors.extend(replace(error, field=key) for error in refused.errors)
            return ""
    if not hint:
        errors.append(FieldError(keys[0], "is missing", "missing_id"))
    return hint or ""


def _version_time(record: dict[str, Any], errors: list[FieldError]) -> datetime | None:
    for key in _TIMES:
        try:
            if found := moment(record.get(key)):
                return found
        except RefusedError as refused:
            errors.extend(replace(error, field=key) for error in refused.errors)
    return None


def _raise_any(errors: list[FieldError], located: Located, source_entity_id: str) -> None:
    """Raise what was found, each field by its path in the whole body."""
    if errors:
        raise MappingError(
            [replace(error, field=f"{located.at}{error.field}") for error in errors],
            code=errors[0].code,
            entity_type=located.entity,
            source_entity_id=source_entity_id or None,
        )
