"""TDS, the data-sync module: its public face. See ``README.md`` beside this file."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import get_async_db
from app.tds.core.events import (
    TDSDeadLetterEvent,
    TDSEntitySyncedEvent,
    TDSEvent,
    TDSSyncCompletedEvent,
    TDSSyncFailedEvent,
    TDSSyncStartedEvent,
)
from app.tds.core.queue import TDSQueueService
from app.tds.core.service import TDSService
from app.tds.models import (
    TDSAlert,
    TDSAuditTrail,
    TDSDeadLetterQueue,
    TDSEntity,
    TDSInboxEvent,
    TDSSyncQueue,
    TDSSyncRun,
)
from app.tds.types import EntityType, EventStatus, OperationType, Outcome, RunMode, SourceType
from app.tds.workers.worker import SyncWorker

__all__ = [
    "AsyncSession",
    "EntityType",
    "EventStatus",
    "OperationType",
    "Outcome",
    "RunMode",
    "SourceType",
    "SyncWorker",
    "TDSAlert",
    "TDSAuditTrail",
    "TDSDeadLetterEvent",
    "TDSDeadLetterQueue",
    "TDSEntity",
    "TDSEntitySyncedEvent",
    "TDSEvent",
    "TDSInboxEvent",
    "TDSQueueService",
    "TDSService",
    "TDSSyncCompletedEvent",
    "TDSSyncFailedEvent",
    "TDSSyncQueue",
    "TDSSyncRun",
    "TDSSyncStartedEvent",
    "get_async_db",
    "select",
]
