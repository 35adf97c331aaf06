"""What is watched: workers' heartbeats, rollups, samples of the queue, alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Double, Index, Integer, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.orm import Base, Json
from app.tds.models.common import CreatedAt, PrimaryId, one_of

__all__ = ["TDSAlert", "TDSEntityTotal", "TDSMetric", "TDSMetricHour", "TDSQueueSample", "TDSWorker"]

_NOUGHT = text("0")
_COUNTERS_ADD_UP = "processed = succeeded + failed AND failed = retried + dead"
_FOURTEEN = "cardinality(latency_counts) = 14"


class TDSWorker(Base):
    """A worker's heartbeat and what it is doing."""

    __tablename__ = "tds_workers"
    __table_args__ = (one_of("state", ["idle", "busy", "draining", "stopped"]),)

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="idle")
    batch_size: Mapped[int] = mapped_column(server_default=_NOUGHT)
    batch_started_at: Mapped[datetime | None]
    processed: Mapped[int] = mapped_column(BigInteger, server_default=_NOUGHT)
    failed: Mapped[int] = mapped_column(BigInteger, server_default=_NOUGHT)
    started_at: Mapped[CreatedAt]
    heartbeat_at: Mapped[CreatedAt]
    stopped_at: Mapped[datetime | None]


class TDSMetric(Base):
    """A minute of one worker and entity type, written by that worker alone, with what it counts.

    ``processed`` are attempts that ended. Latencies, in milliseconds, are those of what succeeded;
    ``latency_counts`` has one number for each bound of `app.tds.core.rollups.BOUNDS_MS`, and one above them.
    ``created - deleted`` is by how much the number of entities grew. No index but the key, and room on every page:
    the hundreds of updates of a minute stay on their page (HOT).
    """

    __tablename__ = "tds_metrics"
    __table_args__ = (
        CheckConstraint(_COUNTERS_ADD_UP, name="counters_add_up"),
        CheckConstraint(_FOURTEEN, name="latency_counts_complete"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    minute: Mapped[datetime] = mapped_column(primary_key=True)
    worker_id: Mapped[str] = mapped_column(primary_key=True)
    entity_type: Mapped[str] = mapped_column(primary_key=True)
    processed: Mapped[int] = mapped_column(server_default=_NOUGHT)
    succeeded: Mapped[int] = mapped_column(server_default=_NOUGHT)
    failed: Mapped[int] = mapped_column(server_default=_NOUGHT)
    retried: Mapped[int] = mapped_column(server_default=_NOUGHT)
    dead: Mapped[int] = mapped_column(server_default=_NOUGHT)
    created: Mapped[int] = mapped_column(server_default=_NOUGHT)
    deleted: Mapped[int] = mapped_column(server_default=_NOUGHT)
    latency_sum_ms: Mapped[float] = mapped_column(Double, server_default=_NOUGHT)
    latency_max_ms: Mapped[float] = mapped_column(Double, server_default=_NOUGHT)
    latency_counts: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    last_at: Mapped[datetime | None]
    newest_change_at: Mapped[datetime | None]


class TDSMetricHour(Base):
    """A full hour (UTC) of one entity type: the sum of its minutes over all workers."""

    __tablename__ = "tds_metric_hours"
    __table_args__ = (
        CheckConstraint(_COUNTERS_ADD_UP, name="counters_add_up"),
        CheckConstraint(_FOURTEEN, name="latency_counts_complete"),
    )

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    entity_type: Mapped[str] = mapped_column(primary_key=True)
    processed: Mapped[int]
    succeeded: Mapped[int]
    failed: Mapped[int]
    retried: Mapped[int]
    dead: Mapped[int]
    created: Mapped[int]
    deleted: Mapped[int]
    latency_sum_ms: Mapped[float] = mapped_column(Double)
    latency_max_ms: Mapped[float] = mapped_column(Double)
    latency_counts: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class TDSQueueSample(Base):
    """How long the queue was at ``sampled_at``, the last time it was looked at in that minute."""

    __tablename__ = "tds_queue_samples"

    minute: Mapped[datetime] = mapped_column(primary_key=True)
    sampled_at: Mapped[datetime]
    pending: Mapped[int] = mapped_column(BigInteger)
    processing: Mapped[int] = mapped_column(BigInteger)
    retry: Mapped[int] = mapped_column(BigInteger)
    retry_ready: Mapped[int] = mapped_column(BigInteger)
    stale: Mapped[int] = mapped_column(BigInteger)
    dead_letter: Mapped[int] = mapped_column(BigInteger)
    inbox: Mapped[int] = mapped_column(BigInteger)
    oldest_pending_seconds: Mapped[float] = mapped_column(Double)
    pending_by_type: Mapped[dict[str, Any]] = mapped_column(Json)


class TDSEntityTotal(Base):
    """How many entities of a type there were before ``counted_from``: with ``created - deleted`` of the minutes since,
    that is how many there are. ``counted_at`` is when the ledger was counted.
    """

    __tablename__ = "tds_entity_totals"

    entity_type: Mapped[str] = mapped_column(primary_key=True)
    counted: Mapped[int] = mapped_column(BigInteger)
    counted_from: Mapped[datetime]
    counted_at: Mapped[datetime]
    last_sync_at: Mapped[datetime | None]
    newest_change_at: Mapped[datetime | None]


class TDSAlert(Base):
    """An alert and its life: triggered, acknowledged by a person, resolved.

    ``calm_rounds`` counts the evaluations in a row in which what it tells of was over. A person who resolves it while
    it is not over leaves it ``muted`` until it is: it does not fire again before.
    """

    __tablename__ = "tds_alerts"
    __table_args__ = (
        one_of("severity", ["info", "warning", "error", "critical"]),
        CheckConstraint("is_active = (resolved_at IS NULL)", name="active_iff_unresolved"),
        CheckConstraint("acknowledged = (acknowledged_at IS NOT NULL)", name="acknowledged_at_iff_acknowledged"),
        CheckConstraint("NOT (is_active AND muted)", name="muted_only_when_resolved"),
        Index("uq_tds_alerts_active", "rule", "subject", unique=True, postgresql_where=text("is_active")),
        Index("uq_tds_alerts_muted", "rule", "subject", unique=True, postgresql_where=text("muted")),
    )

    id: Mapped[PrimaryId]
    rule: Mapped[str]
    subject: Mapped[str] = mapped_column(server_default="")
    severity: Mapped[str]
    title: Mapped[str]
    message: Mapped[str]
    value: Mapped[float | None] = mapped_column(Double)
    threshold: Mapped[float | None] = mapped_column(Double)
    triggered_at: Mapped[CreatedAt]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    acknowledged: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    acknowledgement_note: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    resolution_note: Mapped[str | None]
    muted: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    calm_rounds: Mapped[int] = mapped_column(SmallInteger, server_default=_NOUGHT, default=0)
    updated_at: Mapped[CreatedAt]
    run_id: Mapped[UUID | None]
