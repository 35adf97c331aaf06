"""The pipeline's tables, one file a noun."""

from __future__ import annotations

from app.tds.models.audit import TDSAuditTrail
from app.tds.models.dead_letters import TDSDeadLetterQueue
from app.tds.models.inbox import TDSDedupeKey, TDSInboxEvent
from app.tds.models.jobs import TDSJob
from app.tds.models.monitoring import (
    TDSAlert,
    TDSEntityTotal,
    TDSMetric,
    TDSMetricHour,
    TDSQueueSample,
    TDSWorker,
)
from app.tds.models.pauses import TDSPause
from app.tds.models.queue import TDSEntity, TDSSyncQueue
from app.tds.models.runs import TDSSyncCursor, TDSSyncRun

__all__ = [
    "TDSAlert",
    "TDSAuditTrail",
    "TDSDeadLetterQueue",
    "TDSDedupeKey",
    "TDSEntity",
    "TDSEntityTotal",
    "TDSInboxEvent",
    "TDSJob",
    "TDSMetric",
    "TDSMetricHour",
    "TDSPause",
    "TDSQueueSample",
    "TDSSyncCursor",
    "TDSSyncQueue",
    "TDSSyncRun",
    "TDSWorker",
]
