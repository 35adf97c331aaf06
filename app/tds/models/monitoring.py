"""What is watched: workers' heartbeats, per-minute rollups, alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Double, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.orm import Base, Json
from app.tds.models.common import CreatedAt, PrimaryId, one_of

__all__ = ["TDSAlert", "TDSMetric", "TDSWorker"]


class TDSWorker(Base):
    """A worker's heartbeat and what it is doing."""

    __tablename__ = "tds_workers"
    __table_args__ = (one_of("state", ["idle", "busy", "draining", "stopped"]),)

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="idle")
    batch_size: Mapped[int] = mapped_column(server_default=text("0"))
    batch_started_at: Mapped[datetime | None]
    processed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    started_at: Mapped[CreatedAt]
    heartbeat_at: Mapped[CreatedAt]
    stopped_at: Mapped[datetime | None]


class TDSMetric(Base):
    """A minute of one worker and entity type. Latencies in milliseconds."""

    __tablename__ = "tds_metrics"

    minute: Mapped[datetime] = mapped_column(primary_key=True)
    worker_id: Mapped[str] = mapped_column(primary_key=True)
    entity_type: Mapped[str] = mapped_column(primary_key=True)
    processed: Mapped[int] = mapped_column(server_default=text("0"))
    succeeded: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    retried: Mapped[int] = mapped_column(server_default=text("0"))
    dead: Mapped[int] = mapped_column(server_default=text("0"))
    latency_sum_ms: Mapped[float] = mapped_column(Double, server_default=text("0"))
    latency_max_ms: Mapped[float] = mapped_column(Double, server_default=text("0"))
    latency_histogram: Mapped[list[Any]] = mapped_column(Json, server_default=text("'[]'"))


class TDSAlert(Base):
    """An alert and its life: triggered, acknowledged by a person, resolved."""

    __tablename__ = "tds_alerts"
    __table_args__ = (
        one_of("severity", ["info", "warning", "error", "critical"]),
        CheckConstraint("is_active = (resolved_at IS NULL)", name="active_iff_unresolved"),
        CheckConstraint("acknowledged = (acknowledged_at IS NOT NULL)", name="acknowledged_at_iff_acknowledged"),
        Index("uq_tds_alerts_active", "rule", "subject", unique=True, postgresql_where=text("is_active")),
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
    run_id: Mapped[UUID | None]
