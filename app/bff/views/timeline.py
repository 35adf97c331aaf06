"""What happened to one entity, newest first: five kinds of entries, told apart by ``kind``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import Field

from app.bff.views.base import FromRow, with_example
from app.tds.types import EventStatus, OperationType, Outcome, SignatureVerdict

__all__ = [
    "AuditedEntry",
    "EventEntry",
    "LetterEntry",
    "QueuedEntry",
    "ReceivedEntry",
    "TimelineEntry",
]


class ReceivedEntry(FromRow):
    """A raw event as it arrived."""

    kind: Literal["received"] = "received"
    id: UUID
    at: datetime = Field(validation_alias="created_at")
    source: str
    operation: OperationType | None
    signature: SignatureVerdict
    status: EventStatus
    body: str = Field(description="What came over the wire, as text; long ones are cut.")
    bytes: int = Field(description="How long it is in full.")
    validation_errors: list[dict[str, Any]] | None
    run_id: UUID | None
    trace_id: str | None
    completed_at: datetime | None


class QueuedEntry(FromRow):
    """A change in the queue, with its attempts."""

    kind: Literal["queued"] = "queued"
    id: UUID
    at: datetime = Field(validation_alias="created_at")
    operation_type: OperationType
    status: EventStatus
    outcome: Outcome | None
    priority: int
    attempts: int
    errors: list[dict[str, Any]] = Field(description="Each attempt that failed: when, which one, why.")
    validated_payload: dict[str, Any]
    version_time: datetime | None
    next_retry_at: datetime | None
    waits_for: str | None
    locked_by: str | None
    inbox_event_id: UUID | None
    run_id: UUID | None
    dead_letter_id: UUID | None = Field(description="The dead letter that this is a new try of.")
    completed_at: datetime | None


class AuditedEntry(FromRow):
    """A change that was made here, or what a person did."""

    kind: Literal["audit"] = "audit"
    id: UUID
    at: datetime = Field(validation_alias="created_at")
    operation: OperationType
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    changed_fields: list[str]
    change_source: str
    actor: str
    origin: str | None = Field(description="From where a person acted.")
    queue_id: UUID | None
    run_id: UUID | None


class EventEntry(FromRow):
    """A domain event that was announced."""

    kind: Literal["event"] = "event"
    id: UUID = Field(validation_alias="event_id")
    at: datetime = Field(validation_alias="occurred_at")
    event_type: str
    data: dict[str, Any]
    correlation_id: str | None


class LetterEntry(FromRow):
    """A dead letter."""

    model_config = with_example(
        {
            "kind": "dead_letter",
            "id": "01932b9a-0f3c-7d81-b2a4-7c6e5d4f3a2b",
            "at": "2025-11-05T08:00:00Z",
            "failure_reason": "Invalid SKU format",
            "error_code": "invalid_document",
            "total_attempts": 1,
            "resolved": False,
            "resolution": None,
            "resolved_by": None,
            "resolved_at": None,
            "sync_queue_id": None,
        }
    )

    kind: Literal["dead_letter"] = "dead_letter"
    id: UUID
    at: datetime = Field(validation_alias="created_at")
    failure_reason: str
    error_code: str
    total_attempts: int
    resolved: bool
    resolution: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    sync_queue_id: UUID | None


TimelineEntry: TypeAlias = Annotated[
    ReceivedEntry | QueuedEntry | AuditedEntry | EventEntry | LetterEntry, Field(discriminator="kind")
]
