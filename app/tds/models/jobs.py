"""Work on many things at once, asked for by a person: tracked, resumable."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.orm import Base, Json, StrEnumType
from app.tds.models.common import CreatedAt, PrimaryId, either_or_none, iff, one_of
from app.tds.states import JOB, JOB_FINAL
from app.tds.types import EventStatus

__all__ = ["TDSJob"]


class TDSJob(Base):
    """A job over dead letters. ``criteria`` chose them and ``total`` counted them when it was asked for; letters
    above ``upper_id`` came later and are not part of it. ``cursor_id`` is the last letter that was dealt with.
    """

    __tablename__ = "tds_jobs"
    __table_args__ = (
        one_of("status", JOB),
        one_of("kind", ["reprocess_letters", "resolve_letters"]),
        iff("completed_at", "status", JOB_FINAL),
        either_or_none("locked_by", "lock_expires_at"),
        CheckConstraint("done = succeeded + failed", name="counters_add_up"),
        Index("ix_tds_jobs_open", "id", postgresql_where=text("status IN ('pending', 'processing')")),
    )

    id: Mapped[PrimaryId]
    kind: Mapped[str]
    criteria: Mapped[dict[str, Any]] = mapped_column(Json)
    note: Mapped[str | None]
    status: Mapped[EventStatus] = mapped_column(StrEnumType(EventStatus), server_default="pending")
    total: Mapped[int] = mapped_column(server_default=text("0"))
    done: Mapped[int] = mapped_column(server_default=text("0"))
    succeeded: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    upper_id: Mapped[UUID | None]
    cursor_id: Mapped[UUID | None]
    last_error: Mapped[str | None]
    requested_by: Mapped[str]
    lease_token: Mapped[int] = mapped_column(server_default=text("0"))
    locked_by: Mapped[str | None]
    lock_expires_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
