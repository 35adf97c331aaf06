"""The local system of record: products and customers as the company works with them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.orm import Base, Json

__all__ = ["Amount", "ContactPerson", "Customer", "CustomerAddress", "Price", "Product", "Quantity"]

Amount = Annotated[Decimal, mapped_column(Numeric(18, 3))]
Price = Annotated[Decimal, mapped_column(Numeric(20, 6))]
Quantity = Annotated[Decimal, mapped_column(Numeric(20, 6))]
RowId = Annotated[UUID, mapped_column(primary_key=True)]
Now = Annotated[datetime, mapped_column(server_default=text("now()"))]
_ROOM_FOR_EDITS = {"postgresql_with": {"fillfactor": "50"}}
"""A new version beside the old one needs no new index entries (HOT), as long as no indexed column changes."""
_STATUS = "status IN ('active', 'inactive')"


class Product(Base):
    """A product. Prices are in the organisation's base currency; stock may be negative, and is NULL where the
    source has never told it or does not stock the thing.
    """

    __tablename__ = "erp_products"
    __table_args__ = (
        CheckConstraint(_STATUS, name="status_known"),
        CheckConstraint("name <> ''", name="name_given"),
        Index("ix_erp_products_sku", "sku"),
        _ROOM_FOR_EDITS,
    )

    id: Mapped[RowId]
    name: Mapped[str]
    sku: Mapped[str | None]
    description: Mapped[str | None]
    unit: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    kind: Mapped[str | None]
    brand: Mapped[str | None]
    manufacturer: Mapped[str | None]
    upc: Mapped[str | None]
    ean: Mapped[str | None]
    isbn: Mapped[str | None]
    part_number: Mapped[str | None]
    price: Mapped[Price | None]
    purchase_price: Mapped[Price | None]
    tax_name: Mapped[str | None]
    tax_percentage: Mapped[Quantity | None]
    stock_on_hand: Mapped[Quantity | None]
    available_stock: Mapped[Quantity | None]
    actual_available_stock: Mapped[Quantity | None]
    reorder_level: Mapped[Quantity | None]
    custom_fields: Mapped[dict[str, Any]] = mapped_column(Json, server_default=text("'{}'"))
    created_at: Mapped[Now]
    updated_at: Mapped[Now]


class Customer(Base):
    """A customer. Amounts are in ``currency``, with that currency's decimals; payment terms in days.

    ``parent_id`` is the customer it belongs to, of which the source says ``parent_source_id``.
    """

    __tablename__ = "erp_customers"
    __table_args__ = (
        CheckConstraint(_STATUS, name="status_known"),
        CheckConstraint("name <> ''", name="name_given"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_code"),
        Index("ix_erp_customers_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        _ROOM_FOR_EDITS,
    )

    id: Mapped[RowId]
    name: Mapped[str]
    company_name: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    kind: Mapped[str | None]
    language: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    mobile: Mapped[str | None]
    website: Mapped[str | None]
    currency: Mapped[str | None]
    payment_terms: Mapped[int | None]
    payment_terms_label: Mapped[str | None]
    credit_limit: Mapped[Amount | None]
    outstanding_receivable: Mapped[Amount | None]
    unused_credits: Mapped[Amount | None]
    notes: Mapped[str | None]
    custom_fields: Mapped[dict[str, Any]] = mapped_column(Json, server_default=text("'{}'"))
    parent_source_id: Mapped[str | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("erp_customers.id", ondelete="SET NULL"))
    created_at: Mapped[Now]
    updated_at: Mapped[Now]


class CustomerAddress(Base):
    """A customer's billing or shipping address."""

    __tablename__ = "erp_customer_addresses"
    __table_args__ = (CheckConstraint("kind IN ('billing', 'shipping')", name="kind_known"),)

    customer_id: Mapped[UUID] = mapped_column(ForeignKey(Customer.id, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    attention: Mapped[str | None]
    street: Mapped[str | None]
    street2: Mapped[str | None]
    city: Mapped[str | None]
    state: Mapped[str | None]
    state_code: Mapped[str | None]
    zip: Mapped[str | None]
    country: Mapped[str | None]
    phone: Mapped[str | None]
    fax: Mapped[str | None]


class ContactPerson(Base):
    """A person at a customer, in the source's order; ``source_id`` is the person's id at the source."""

    __tablename__ = "erp_contact_persons"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey(Customer.id, ondelete="CASCADE"), primary_key=True)
    source_id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    salutation: Mapped[str | None]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]
    mobile: Mapped[str | None]
    designation: Mapped[str | None]
    department: Mapped[str | None]
    is_primary: Mapped[bool] = mapped_column(server_default=text("false"))
