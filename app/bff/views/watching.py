"""What is watched: the audit trail, workers, breakers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from app.bff.views.base import View, with_example
from app.bff.words import Stamp
from app.tds.types import OperationType

__all__ = ["AuditTrailEntry", "BreakerView", "WorkerView"]


class AuditTrailEntry(View):
    """One change, or one action of a person."""

    model_config = with_example(
        {
            "id": "01932c0a-3b5d-7f62-9d14-8e7a6b5c4d3e",
            "entity_type": "product",
            "entity_id": "01931f2e-7b1c-7a10-8e55-2f4d6c8b0a19",
            "source_entity_id": "zoho-123",
            "operation": "update",
            "before": {"price": "12.00"},
            "after": {"price": "12.50"},
            "changed_fields": ["price"],
            "change_source": "zoho",
            "actor": "shop-1-4711-c0738f",
            "origin": None,
            "queue_id": "01932c0a-3a11-7d20-8c03-7f6e5d4c3b2a",
            "run_id": None,
            "created_at": "2025-11-05T10:05:00.123456Z",
        }
    )

    id: UUID
    entity_type: str = Field(description="An entity type, or what a person acted on: dead_letter, job, pause, ...")
    entity_id: str
    source_entity_id: str | None
    operation: OperationType
    before: dict[str, Any] | None = Field(description="The changed fields before; money is text.")
    after: dict[str, Any] | None
    changed_fields: list[str]
    change_source: str = Field(description='A source, or "manual" for what a person did.')
    actor: str = Field(description="A person's name, or a worker's id.")
    origin: str | None = Field(description="From where a person acted.")
    queue_id: UUID | None
    run_id: UUID | None
    created_at: datetime


class WorkerView(View):
    """A worker, and what it is doing."""

    model_config = with_example(
        {
            "id": "shop-1:4711:0",
            "host": "shop-1",
            "pid": 4711,
            "version": "2.0.0",
            "state": "busy",
            "alive": True,
            "batch_size": 100,
            "batch_started_at": "2025-11-05T10:05:00Z",
            "processed": 12500,
            "failed": 12,
            "started_at": "2025-11-05T06:00:00Z",
            "heartbeat_at": "2025-11-05T10:05:01Z",
            "stopped_at": None,
        }
    )

    id: str
    host: str
    pid: int
    version: str
    state: Literal["idle", "busy", "draining", "stopped"]
    alive: bool = Field(description="Whether its heart beat within the last half minute.")
    batch_size: int
    batch_started_at: Stamp | None
    processed: int = Field(description="Items since it started.")
    failed: int
    started_at: Stamp
    heartbeat_at: Stamp
    stopped_at: Stamp | None


class BreakerView(View):
    """What all processes know of one outside API's health."""

    model_config = with_example(
        {
            "name": "zoho",
            "state": "open",
            "failures": 5,
            "opened_at": "2025-11-05T10:00:00Z",
            "retry_at": "2025-11-05T10:01:00Z",
            "last_error": "the source answered with 503",
            "updated_at": "2025-11-05T10:00:00Z",
        }
    )

    name: str
    state: Literal["closed", "open", "half_open"] = Field(description="open: nothing is asked of it until `retry_at`.")
    failures: int
    opened_at: Stamp | None
    retry_at: Stamp | None
    last_error: str | None
    updated_at: Stamp
