"""The words of the domain, as they stand in the tables and in JSON."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "EntityType",
    "EventStatus",
    "OperationType",
    "Outcome",
    "RunMode",
    "SignatureVerdict",
    "SourceType",
]


class SourceType(StrEnum):
    """The kind of system a change comes from."""

    ZOHO = "zoho"
    MANUAL = "manual"


class EntityType(StrEnum):
    """What is kept in step."""

    PRODUCT = "product"
    CUSTOMER = "customer"
    VENDOR = "vendor"
    INVOICE = "invoice"
    SALES_ORDER = "sales_order"
    PURCHASE_ORDER = "purchase_order"
    PAYMENT = "payment"
    VENDOR_PAYMENT = "vendor_payment"
    CREDIT_NOTE = "credit_note"
    BILL = "bill"
    PRICE_LIST = "price_list"
    STOCK_ADJUSTMENT = "stock_adjustment"
    USER = "user"


class OperationType(StrEnum):
    """What a change asks for. ``UPSERT``: its source does not tell a creation from an edit."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"


class EventStatus(StrEnum):
    """Where an inbox event, a queue item or a run stands; `app.tds.states` says what may follow what."""

    PENDING = "pending"
    QUEUED = "queued"
    PROCESSING = "processing"
    RETRY = "retry"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD_LETTER = "dead_letter"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """How a completed item ended."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"


class RunMode(StrEnum):
    """Whether a run reads everything or only what changed since the cursor."""

    FULL = "full"
    INCREMENTAL = "incremental"


class SignatureVerdict(StrEnum):
    """What is known of a delivery's origin."""

    VALID = "valid"
    NOT_APPLICABLE = "not_applicable"
