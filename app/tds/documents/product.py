"""A thing that is bought, stocked or sold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.tds.documents.base import CustomFields, Document, LongText, Quantity, ShortText, UnitPrice

__all__ = ["ProductDocument"]


class ProductDocument(Document):
    """Prices are in the organisation's base currency and may be finer than its coins; stock may be negative.

    ``stock_on_hand`` is the accounting stock, ``available_stock`` that less what is committed,
    ``actual_available_stock`` the physical one.
    """

    name: Annotated[ShortText, Field(min_length=1)] = ""
    sku: ShortText | None = None
    description: LongText | None = None
    unit: ShortText | None = None
    status: Literal["active", "inactive"] = "active"
    kind: ShortText | None = None
    brand: ShortText | None = None
    manufacturer: ShortText | None = None
    upc: ShortText | None = None
    ean: ShortText | None = None
    isbn: ShortText | None = None
    part_number: ShortText | None = None
    price: UnitPrice | None = None
    purchase_price: UnitPrice | None = None
    tax_name: ShortText | None = None
    tax_percentage: Quantity | None = None
    stock_on_hand: Quantity | None = None
    available_stock: Quantity | None = None
    actual_available_stock: Quantity | None = None
    reorder_level: Quantity | None = None
    custom_fields: CustomFields = Field(default_factory=dict)
