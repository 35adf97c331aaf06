"""Somebody goods are sold to."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.tds.documents.base import Amount, CustomFields, Document, LongText, Reference, ShortText, decimals_of
from app.tds.types import EntityType

__all__ = ["Address", "ContactPerson", "CustomerDocument"]

_AMOUNTS = ("credit_limit", "outstanding_receivable", "unused_credits")


class Address(BaseModel):
    """A postal address, whole: an address is known or not, never in part."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    attention: ShortText | None = None
    street: LongText | None = None
    street2: LongText | None = None
    city: ShortText | None = None
    state: ShortText | None = None
    state_code: ShortText | None = None
    zip: ShortText | None = None
    country: ShortText | None = None
    phone: ShortText | None = None
    fax: ShortText | None = None


class ContactPerson(BaseModel):
    """A person at a customer; ``source_id`` is the person's id at the source."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    source_id: ShortText
    salutation: ShortText | None = None
    first_name: ShortText | None = None
    last_name: ShortText | None = None
    email: ShortText | None = None
    phone: ShortText | None = None
    mobile: ShortText | None = None
    designation: ShortText | None = None
    department: ShortText | None = None
    is_primary: bool = False


class CustomerDocument(Document):
    """Amounts are in ``currency`` and hold that currency's decimals; payment terms are in days.

    ``parent_source_id`` is the source's id of the customer this one belongs to, such as a branch to its head office.
    """

    name: Annotated[ShortText, Field(min_length=1)] = ""
    company_name: ShortText | None = None
    status: Literal["active", "inactive"] = "active"
    kind: ShortText | None = None
    language: ShortText | None = None
    email: ShortText | None = None
    phone: ShortText | None = None
    mobile: ShortText | None = None
    website: ShortText | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    payment_terms: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    payment_terms_label: ShortText | None = None
    credit_limit: Amount | None = None
    outstanding_receivable: Amount | None = None
    unused_credits: Amount | None = None
    notes: LongText | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    contact_persons: list[ContactPerson] = Field(default_factory=list[ContactPerson])
    custom_fields: CustomFields = Field(default_factory=dict)
    parent_source_id: ShortText | None = None

    def references(self) -> tuple[Reference, ...]:
        """The parent, if one is known."""
        if "parent_source_id" not in self.model_fields_set or self.parent_source_id is None:
            return ()
        return (Reference("parent_source_id", EntityType.CUSTOMER, self.parent_source_id),)

    @field_validator("contact_persons")
    @classmethod
    def _persons_once(cls, persons: list[ContactPerson]) -> list[ContactPerson]:
        ids = [person.source_id for person in persons]
        if len(set(ids)) < len(ids):
            raise ValueError("names one person twice")
        return persons

    @model_validator(mode="before")
    @classmethod
    def _round_amounts(cls, values: Any) -> Any:
        """A source may write more decimals than the currency has: amounts are rounded half up to them."""
        if not isinstance(values, dict):
            return values
        given = cast("dict[str, Any]", values)
        currency = given.get("currency")
        unit = Decimal(1).scaleb(-decimals_of(currency if isinstance(currency, str) else None))
        return {**given, **{name: _rounded(given[name], unit) for name in _AMOUNTS if name in given}}


def _rounded(amount: Any, unit: Decimal) -> Any:
    """A finite number, rounded; anything else as it is, for the field's own checks."""
    if not isinstance(amount, str | int | float | Decimal):
        return amount
    try:
        number = Decimal(str(amount))
        return number.quantize(unit, ROUND_HALF_UP) if number.is_finite() else amount
    except ArithmeticError:
        return amount
