"""Zoho contacts, as list rows, details and webhook bodies, made into customer documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec import UNSET, UnsetType

from app.tds.core.errors import FieldError
from app.tds.documents import CustomerDocument
from app.tds.sources.zoho.mapping.convert import (
    Fields,
    RefusedError,
    custom_fields,
    flag,
    identifier,
    name,
    number,
    status,
    text,
    whole,
)
from app.tds.sources.zoho.mapping.table import Field, Table, build, read

__all__ = ["CUSTOMER", "customer_of"]

_ADDRESS: Final[Table] = (
    Field("attention", ("attention",), text),
    Field("street", ("address", "street"), text),
    Field("street2", ("street2",), text),
    Field("city", ("city",), text),
    Field("state", ("state",), text),
    Field("state_code", ("state_code",), text),
    Field("zip", ("zip",), text),
    Field("country", ("country",), text),
    Field("phone", ("phone",), text),
    Field("fax", ("fax",), text),
)
_PERSON: Final[Table] = (
    Field("source_id", ("contact_person_id",), identifier),
    Field("salutation", ("salutation",), text),
    Field("first_name", ("first_name",), text),
    Field("last_name", ("last_name",), text),
    Field("email", ("email",), text),
    Field("phone", ("phone",), text),
    Field("mobile", ("mobile",), text),
    Field("designation", ("designation",), text),
    Field("department", ("department",), text),
    Field("is_primary", ("is_primary_contact",), flag),
)
_REACHED_BY: Final = ("email", "phone", "mobile")


def _address(value: Any) -> Fields | None:
    """An address with whatever lines it has; one of empty lines is None."""
    if value is None or value == "":
        return None
    if type(value) is not dict:
        raise RefusedError("must be an object")
    errors: list[FieldError] = []
    lines = read(_ADDRESS, cast("Fields", value), errors)
    if errors:
        raise RefusedError(errors=tuple(errors))
    return lines if any(line is not None for line in lines.values()) else None


def _person(position: int, member: Any, errors: list[FieldError]) -> Fields:
    if type(member) is not dict:
        errors.append(FieldError(f"{position}", "must be an object", "invalid_field"))
        return {}
    before = len(errors)
    person = read(_PERSON, cast("Fields", member), errors, at=f"{position}.")
    if not person.get("source_id") and len(errors) == before:
        errors.append(FieldError(f"{position}.contact_person_id", "is missing", "missing_id"))
    return person


def _persons(value: Any) -> list[Fields] | UnsetType:
    """Contact persons in Zoho's order; null and ``""`` say nothing."""
    if value is None or value == "":
        return UNSET
    if type(value) is not list:
        raise RefusedError("must be a list")
    errors: list[FieldError] = []
    persons = [_person(position, member, errors) for position, member in enumerate(cast("list[Any]", value))]
    if not errors and len({person["source_id"] for person in persons}) < len(persons):
        errors.append(FieldError("", "holds one contact_person_id twice", "duplicate_id"))
    if errors:
        raise RefusedError(errors=tuple(errors))
    return persons


CUSTOMER: Final[Table] = (
    Field("name", ("contact_name", "customer_name"), name),
    Field("company_name", ("company_name",), text),
    Field("status", ("status",), status),
    Field("kind", ("customer_sub_type",), text),
    Field("language", ("language_code",), text),
    Field("email", ("email",), text),
    Field("phone", ("phone",), text),
    Field("mobile", ("mobile",), text),
    Field("website", ("website",), text),
    Field("currency", ("currency_code",), text),
    Field("payment_terms", ("payment_terms",), whole),
    Field("payment_terms_label", ("payment_terms_label",), text),
    Field("credit_limit", ("credit_limit",), number),
    Field("outstanding_receivable", ("outstanding_receivable_amount",), number),
    Field("unused_credits", ("unused_credits_receivable_amount",), number),
    Field("notes", ("notes",), text),
    Field("billing_address", ("billing_address",), _address),
    Field("shipping_address", ("shipping_address",), _address),
    Field("contact_persons", ("contact_persons",), _persons),
    Field("custom_fields", ("custom_fields",), custom_fields),
)
# Names of nested members are unlike their keys only in these.
_NESTED: Final = {"street": "address", "source_id": "contact_person_id", "is_primary": "is_primary_contact"}
_KEYS: Final = {field.name: field.keys[0] for field in CUSTOMER} | _NESTED


def customer_of(row: Fields, errors: list[FieldError]) -> CustomerDocument | None:
    """The customer that a contact describes; None where ``errors`` were added."""
    values = read(CUSTOMER, row, errors)
    if "contact_persons" in values:
        _reach_by_primary(row, values)
    return build(CustomerDocument, values, keys=_KEYS, errors=errors)


def _reach_by_primary(row: Mapping[str, Any], values: Fields) -> None:
    """A detail knows e-mail and telephones only of persons: a contact's own are those of its primary person."""
    primary = _primary(values["contact_persons"], row.get("primary_contact_id"))
    for field in _REACHED_BY:
        if field not in row and primary is not None and (field in primary or not primary):
            values[field] = primary.get(field)


def _primary(persons: list[Fields], primary_id: Any) -> Fields | None:
    """The primary person, ``{}`` where there is nobody, None where it cannot be told who it is."""
    if not persons:
        return {}
    flagged = (person for person in persons if person.get("is_primary"))
    return next(flagged, next((person for person in persons if person["source_id"] == primary_id), None))
