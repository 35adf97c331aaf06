"""What could not be applied and waits for a person, or for a newer version."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from app.core.orm import Base, Json, StrEnumType
from app.tds.models.common import CreatedAt, PrimaryId
from app.tds.models.queue import TDSSyncQueue
from app.tds.types import OperationType

__all__ = ["TDSDeadLetterQueue"]


class TDSDeadLetterQueue(Base):
    """A dead letter. ``original_payload`` is never overwritten; ``last_payload`` is what to work on.

    ``entity_type`` may be a word that TDS does not know: it is what the delivery said, or ``unknown``.
    """

    __tablename__ = "tds_dead_letter_queue"
    __table_args__ = (
        CheckConstraint("resolved = (resolved_at IS NOT NULL)", name="resolved_at_iff_resolved"),
        CheckConstraint("priority BETWEEN 1 AND 10", name="priority_range"),
        Index("ix_tds_dead_letter_queue_open", "id", postgresql_where=text("NOT resolved")),
        Index("ix_tds_dead_letter_queue_open_fingerprint", "fingerprint", "id", postgresql_where=text("NOT resolved")),
        Index("ix_tds_dead_letter_queue_entity", "source_entity_id", "entity_type"),
        Index("ix_tds_dead_letter_queue_entity_type", "entity_type", "id"),
        Index("ix_tds_dead_letter_queue_open_entity_type", "entity_type", "id", postgresql_where=text("NOT resolved")),
        Index("ix_tds_dead_letter_queue_open_error_code", "error_code", "id", postgresql_where=text("NOT resolved")),
    )

    id: Mapped[PrimaryId]
    sync_queue_id: Mapped[UUID | None]
    inbox_event_id: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    source: Mapped[str]
    entity_type: Mapped[str]
    source_entity_id: Mapped[str | None]
    operation_type: Mapped[OperationType | None] = mapped_column(StrEnumType(OperationType))
    failure_reason: Mapped[str]
    error_code: Mapped[str]
    fingerprint: Mapped[str]
    total_attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    errors: Mapped[list[dict[str, Any]]] = mapped_column(Json, server_default=text("'[]'"))
    stack: Mapped[str | None]
    original_payload: Mapped[dict[str, Any] | None] = mapped_column(Json)
    last_payload: Mapped[dict[str, Any] | None] = mapped_column(Json)
    version_time: Mapped[datetime | None]
    arrival: Mapped[int | None] = mapped_column(BigInteger)
    received_at: Mapped[CreatedAt]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("5"))
    resolved: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    resolution: Mapped[str | None]
    resolution_notes: Mapped[str | None]
    reprocessed_as: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]

    sync_queue: Mapped[TDSSyncQueue | None] = relationship(
        TDSSyncQueue,
        primaryjoin=lambda: foreign(TDSDeadLetterQueue.sync_queue_id) == TDSSyncQueue.id,
        viewonly=True,
        lazy="selectin",
    )
