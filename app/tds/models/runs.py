"""Bulk and incremental runs, and how far each entity of each source has been read."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.orm import Base, Json, StrEnumType
from app.tds.models.common import CreatedAt, PrimaryId, either_or_none, iff, one_of
from app.tds.states import RUN, RUN_FINAL
from app.tds.types import EventStatus, RunMode, SourceType

__all__ = ["TDSSyncCursor", "TDSSyncRun"]


class TDSSyncRun(Base):
    """A run. ``managed`` runs are read by TDS's own workers, page by page from ``checkpoint``; others are
    recorded by whoever does the work. ``total_events`` grows with the pages until ``scan_completed``.
    """

    __tablename__ = "tds_sync_runs"
    __table_args__ = (
        one_of("status", RUN),
        one_of("mode", RunMode),
        iff("completed_at", "status", RUN_FINAL),
        either_or_none("locked_by", "lock_expires_at"),
        CheckConstraint(
            "processed_events = successful_events + failed_events + skipped_events", name="counters_add_up"
        ),
        CheckConstraint("locked_by IS NULL OR status = 'processing'", name="lease_only_while_processing"),
        Index("ix_tds_sync_runs_open", "id", postgresql_where=text("status IN ('pending', 'processing')")),
        Index("ix_tds_sync_runs_entity_type", "entity_type", "id"),
        Index("ix_tds_sync_runs_status", "status", "id"),
        Index("ix_tds_sync_runs_source", "source", "id"),
    )

    id: Mapped[PrimaryId]
    run_type: Mapped[SourceType] = mapped_column(StrEnumType(SourceType))
    source: Mapped[str]
    entity_type: Mapped[str]
    mode: Mapped[RunMode] = mapped_column(StrEnumType(RunMode), server_default="full")
    managed: Mapped[bool] = mapped_column(server_default=text("false"))
    status: Mapped[EventStatus] = mapped_column(StrEnumType(EventStatus), server_default="pending")
    configuration: Mapped[dict[str, Any]] = mapped_column(Json, server_default=text("'{}'"))
    total_events: Mapped[int] = mapped_column(server_default=text("0"))
    processed_events: Mapped[int] = mapped_column(server_default=text("0"))
    successful_events: Mapped[int] = mapped_column(server_default=text("0"))
    failed_events: Mapped[int] = mapped_column(server_default=text("0"))
    skipped_events: Mapped[int] = mapped_column(server_default=text("0"))
    pages: Mapped[int] = mapped_column(server_default=text("0"))
    since: Mapped[datetime | None]
    checkpoint: Mapped[dict[str, Any] | None] = mapped_column(Json)
    scan_completed: Mapped[bool] = mapped_column(server_default=text("false"))
    cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None]
    lease_token: Mapped[int] = mapped_column(server_default=text("0"))
    locked_by: Mapped[str | None]
    lock_expires_at: Mapped[datetime | None]
    error_summary: Mapped[str | None]
    started_by: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]


class TDSSyncCursor(Base):
    """How far an entity has been read: the newest source modification time of a completed scan."""

    __tablename__ = "tds_sync_cursors"

    source: Mapped[str] = mapped_column(primary_key=True)
    entity_type: Mapped[str] = mapped_column(primary_key=True)
    watermark: Mapped[datetime]
    run_id: Mapped[UUID]
    updated_at: Mapped[CreatedAt]
