"""The words by which Zoho, and the people who set its webhooks up, name entities and events."""

from __future__ import annotations

from typing import Any, Final

from app.tds.types import EntityType, OperationType

__all__ = ["ENTITIES", "ENTITY_IDS", "OPERATIONS", "entity_named", "operation_named"]

ENTITIES: Final = {
    "item": EntityType.PRODUCT,
    "items": EntityType.PRODUCT,
    "product": EntityType.PRODUCT,
    "contact": EntityType.CUSTOMER,
    "contacts": EntityType.CUSTOMER,
    "customer": EntityType.CUSTOMER,
    "customers": EntityType.CUSTOMER,
    "vendor": EntityType.VENDOR,
    "invoice": EntityType.INVOICE,
    "salesorder": EntityType.SALES_ORDER,
    "purchaseorder": EntityType.PURCHASE_ORDER,
    "payment": EntityType.PAYMENT,
    "customerpayment": EntityType.PAYMENT,
    "vendorpayment": EntityType.VENDOR_PAYMENT,
    "vendor_payment": EntityType.VENDOR_PAYMENT,
    "creditnote": EntityType.CREDIT_NOTE,
    "bill": EntityType.BILL,
    "pricebook": EntityType.PRICE_LIST,
    "inventory_adjustment": EntityType.STOCK_ADJUSTMENT,
    "user": EntityType.USER,
}
ENTITY_IDS: Final = {
    EntityType.PRODUCT: ("item_id",),
    EntityType.CUSTOMER: ("contact_id", "customer_id"),
}
OPERATIONS: Final = {
    "add": OperationType.CREATE,
    "added": OperationType.CREATE,
    "create": OperationType.CREATE,
    "created": OperationType.CREATE,
    "edit": OperationType.UPDATE,
    "edited": OperationType.UPDATE,
    "update": OperationType.UPDATE,
    "updated": OperationType.UPDATE,
    "add_edit": OperationType.UPSERT,
    "upsert": OperationType.UPSERT,
    "delete": OperationType.DELETE,
    "deleted": OperationType.DELETE,
}


def entity_named(word: Any) -> EntityType | None:
    """The entity type of a word; None where it is none of ours."""
    return ENTITIES.get(word.lower()) if isinstance(word, str) else None


def operation_named(word: Any) -> OperationType | None:
    """The operation of a word; None where it is none of ours."""
    return OPERATIONS.get(word.lower()) if isinstance(word, str) else None
