"""Rows of the tables that pages and phones look at, as a test wants them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.database import Database
from app.core.ids import new_id
from app.core.orm import Base
from app.tds.core.rollups import BOUNDS_MS
from app.tds.models import TDSAlert, TDSDeadLetterQueue, TDSMetric, TDSSyncQueue, TDSSyncRun, TDSWorker
from app.tds.types import EventStatus, OperationType, SourceType

__all__ = ["add", "alert", "letter", "metric", "minutes_ago", "processing", "run", "worker_row"]


async def add(database: Database, *made: Base) -> None:
    """Store rows."""
    async with database.transaction() as session:
        session.add_all(made)


def minutes_ago(minutes: int) -> datetime:
    """A whole minute of the past."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)


def run(**values: Any) -> TDSSyncRun:
    """A run that has been asked for, unless something else is said of it."""
    given: dict[str, Any] = {
        "id": new_id(),
        "run_type": SourceType.ZOHO,
        "source": "zoho",
        "entity_type": "product",
        "status": EventStatus.PENDING,
    }
    return TDSSyncRun(**(given | values))


def alert(**values: Any) -> TDSAlert:
    """An active alert."""
    given: dict[str, Any] = {
        "id": new_id(),
        "rule": "failure_rate",
        "subject": str(new_id()),
        "severity": "error",
        "title": "High failure rate detected",
        "message": "Product sync failure rate exceeded 10% in last hour",
    }
    return TDSAlert(**(given | values))


def letter(**values: Any) -> TDSDeadLetterQueue:
    """An open dead letter."""
    given: dict[str, Any] = {
        "id": new_id(),
        "source": "zoho",
        "entity_type": "product",
        "source_entity_id": "zoho-123",
        "operation_type": OperationType.UPSERT,
        "failure_reason": "Invalid SKU format",
        "error_code": "invalid_document",
        "fingerprint": "0123456789abcdef",
        "total_attempts": 3,
        "original_payload": {"name": "a"},
        "last_payload": {"name": "a"},
    }
    return TDSDeadLetterQueue(**(given | values))


def metric(minute: datetime, entity_type: str = "product", *, succeeded: int, dead: int = 0) -> TDSMetric:
    """What one worker has ended in a minute."""
    return TDSMetric(
        minute=minute,
        worker_id="w1",
        entity_type=entity_type,
        processed=succeeded + dead,
        succeeded=succeeded,
        failed=dead,
        dead=dead,
        latency_counts=[0] * (len(BOUNDS_MS) + 1),
    )


def processing(source_entity_id: str) -> TDSSyncQueue:
    """A queue item that a worker has in hand."""
    return TDSSyncQueue(
        id=new_id(),
        source="zoho",
        entity_type="product",
        source_entity_id=source_entity_id,
        operation_type=OperationType.UPSERT,
        validated_payload={},
        status=EventStatus.PROCESSING,
        locked_by="w1",
        lock_expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


def worker_row(name: str) -> TDSWorker:
    """A worker that is alive."""
    return TDSWorker(id=name, host="shop-1", pid=1, version="2.0.0", state="busy")


def ids_of(rows: list[dict[str, Any]]) -> list[UUID]:
    """The ids of a list's entries."""
    return [UUID(one["id"]) for one in rows]
