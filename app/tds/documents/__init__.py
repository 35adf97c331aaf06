"""Canonical documents: what sources produce and targets consume, one file an entity."""

from __future__ import annotations

from app.tds.documents.base import Document, Reference, decimals_of
from app.tds.documents.customer import Address, ContactPerson, CustomerDocument
from app.tds.documents.product import ProductDocument
from app.tds.types import EntityType

__all__ = [
    "DOCUMENTS",
    "Address",
    "ContactPerson",
    "CustomerDocument",
    "Document",
    "ProductDocument",
    "Reference",
    "decimals_of",
]

DOCUMENTS: dict[EntityType, type[Document]] = {
    EntityType.PRODUCT: ProductDocument,
    EntityType.CUSTOMER: CustomerDocument,
}
