"""What was received: raw, before anybody understood it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, Sequence, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.orm import Base, Json, StrEnumType
from app.tds.models.common import CreatedAt, PrimaryId, iff, one_of
from app.tds.states import INBOX, INBOX_FINAL
from app.tds.types import EventStatus, OperationType, SignatureVerdict

__all__ = ["ARRIVAL", "TDSDedupeKey", "TDSInboxEvent"]

ARRIVAL = Sequence("tds_arrival_seq", metadata=Base.metadata)
"""The order of arrival, given by the database: no clock takes part in it."""


class TDSInboxEvent(Base):
    """One delivery or one polled record. ``body`` is what came over the wire, byte for byte.

    A row with ``duplicate_of`` repeats an earlier delivery's bytes; it is cancelled on arrival.
    """

    __tablename__ = "tds_inbox_events"
    __table_args__ = (
        one_of("status", INBOX),
        iff("completed_at", "status", INBOX_FINAL),
        one_of("signature", SignatureVerdict),
        CheckConstraint("duplicate_of IS NULL OR status = 'cancelled'", name="duplicate_is_cancelled"),
        Index("ix_tds_inbox_events_pending", "id", postgresql_where=text("status = 'pending'")),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[PrimaryId]
    source: Mapped[str]
    entity_type: Mapped[str | None]
    source_entity_id: Mapped[str | None]
    operation: Mapped[OperationType | None] = mapped_column(StrEnumType(OperationType))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    headers: Mapped[dict[str, str]] = mapped_column(Json, server_default=text("'{}'"))
    content_hash: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[SignatureVerdict] = mapped_column(StrEnumType(SignatureVerdict))
    status: Mapped[EventStatus] = mapped_column(StrEnumType(EventStatus), server_default="pending")
    arrival: Mapped[int] = mapped_column(BigInteger, server_default=ARRIVAL.next_value())
    validation_errors: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    duplicate_of: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    trace_id: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    completed_at: Mapped[datetime | None]


class TDSDedupeKey(Base):
    """A delivery's fingerprint, kept for longer than any provider retries."""

    __tablename__ = "tds_dedupe_keys"
    __table_args__ = (Index("ix_tds_dedupe_keys_expires_at", "expires_at"),)

    source: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    event_id: Mapped[UUID]
    deliveries: Mapped[int] = mapped_column(server_default=text("1"))
    first_seen_at: Mapped[CreatedAt]
    last_seen_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
