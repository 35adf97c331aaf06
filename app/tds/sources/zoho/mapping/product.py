"""Zoho items, as list rows, details and webhook bodies, made into product documents."""

from __future__ import annotations

from typing import Final

from app.tds.core.errors import FieldError
from app.tds.documents import ProductDocument
from app.tds.sources.zoho.mapping.convert import Fields, custom_fields, name, number, status, stock, text
from app.tds.sources.zoho.mapping.table import Field, Table, build, read

__all__ = ["PRODUCT", "product_of"]

PRODUCT: Final[Table] = (
    Field("name", ("name", "item_name"), name),
    Field("sku", ("sku",), text),
    Field("description", ("description",), text),
    Field("unit", ("unit",), text),
    Field("status", ("status",), status),
    Field("kind", ("product_type",), text),
    Field("brand", ("brand",), text),
    Field("manufacturer", ("manufacturer",), text),
    Field("upc", ("upc",), text),
    Field("ean", ("ean",), text),
    Field("isbn", ("isbn",), text),
    Field("part_number", ("part_number",), text),
    Field("price", ("rate",), number),
    Field("purchase_price", ("purchase_rate",), number),
    Field("tax_name", ("tax_name",), text),
    Field("tax_percentage", ("tax_percentage",), number),
    Field("stock_on_hand", ("stock_on_hand",), stock),
    Field("available_stock", ("available_stock",), stock),
    Field("actual_available_stock", ("actual_available_stock",), stock),
    Field("reorder_level", ("reorder_level",), number),
    Field("custom_fields", ("custom_fields",), custom_fields),
)
_KEYS: Final = {field.name: field.keys[0] for field in PRODUCT}


def product_of(row: Fields, errors: list[FieldError]) -> ProductDocument | None:
    """The product that an item describes; None where ``errors`` were added."""
    return build(ProductDocument, read(PRODUCT, row, errors), keys=_KEYS, errors=errors)
