"""The queue of validated changes, and the ledger of entities they are applied to."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.orm import Base, Json, StrEnumType
from app.tds.models.common import CreatedAt, PrimaryId, either_or_none, iff, one_of
from app.tds.models.inbox import ARRIVAL
from app.tds.states import FINAL, QUEUE
from app.tds.types import EventStatus, OperationType, Outcome

__all__ = ["TDSEntity", "TDSSyncQueue"]


class TDSSyncQueue(Base):
    """One validated change on its way to the local tables.

    ``(version_time, arrival)`` is its version. A lease (``locked_by``, ``lock_expires_at``) exists if and only
    if it is being processed; ``lease_token`` grows with every claim and is never rewound. ``attempts`` counts
    the handler's failures only; ``lease_losses`` the workers that died with it; ``deferrals`` how often it could
    not be tried. ``waits_for`` names what wakes it before ``next_retry_at``: ``entity:...`` or ``pause:...``.
    """

    __tablename__ = "tds_sync_queue"
    __table_args__ = (
        one_of("status", QUEUE),
        one_of("operation_type", OperationType),
        iff("completed_at", "status", FINAL),
        iff("locked_by", "status", ["processing"]),
        iff("next_retry_at", "status", ["retry"]),
        iff("outcome", "status", ["completed"]),
        either_or_none("locked_by", "lock_expires_at"),
        one_of("outcome", Outcome),
        CheckConstraint("priority BETWEEN 1 AND 10", name="priority_range"),
        CheckConstraint("attempts >= 0 AND lease_losses >= 0", name="counts_positive"),
        CheckConstraint("waits_for IS NULL OR status = 'retry'", name="waits_only_in_retry"),
        Index("ix_tds_sync_queue_urgent", text("priority DESC"), "id", postgresql_where=text("status = 'pending'")),
        Index("ix_tds_sync_queue_oldest", "id", postgresql_where=text("status = 'pending'")),
        Index("ix_tds_sync_queue_suspect", "id", postgresql_where=text("status = 'pending' AND lease_losses > 0")),
        Index("ix_tds_sync_queue_retry", "next_retry_at", postgresql_where=text("status = 'retry'")),
        Index("ix_tds_sync_queue_lease", "lock_expires_at", postgresql_where=text("status = 'processing'")),
        Index("ix_tds_sync_queue_waits_for", "waits_for", postgresql_where=text("waits_for IS NOT NULL")),
        Index("ix_tds_sync_queue_run", "run_id", postgresql_where=text("run_id IS NOT NULL")),
        Index("ix_tds_sync_queue_entity", "source_entity_id", "entity_type", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[PrimaryId]
    inbox_event_id: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    dead_letter_id: Mapped[UUID | None]
    source: Mapped[str]
    entity_type: Mapped[str]
    source_entity_id: Mapped[str]
    operation_type: Mapped[OperationType] = mapped_column(StrEnumType(OperationType))
    validated_payload: Mapped[dict[str, Any]] = mapped_column(Json)
    version_time: Mapped[datetime | None]
    arrival: Mapped[int] = mapped_column(BigInteger, server_default=ARRIVAL.next_value())
    received_at: Mapped[CreatedAt]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("5"))
    status: Mapped[EventStatus] = mapped_column(StrEnumType(EventStatus), server_default="pending")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    lease_losses: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    lease_token: Mapped[int] = mapped_column(server_default=text("0"))
    locked_by: Mapped[str | None]
    lock_expires_at: Mapped[datetime | None]
    next_retry_at: Mapped[datetime | None]
    waits_for: Mapped[str | None] = mapped_column(Text(collation="C"))
    deferrals: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    errors: Mapped[list[dict[str, Any]]] = mapped_column(Json, server_default=text("'[]'"))
    outcome: Mapped[Outcome | None] = mapped_column(StrEnumType(Outcome))
    target_entity_id: Mapped[str | None]
    trace_id: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    completed_at: Mapped[datetime | None]


class TDSEntity(Base):
    """The ledger: one row an entity of a source. It is the lock of the entity, the guard of its version and
    the mapping of its ids. ``version_*`` is the newest version seen that had a source time, ``barrier_*`` the newest
    change seen that had none, received at ``barrier_time``; `app.tds.core.ledger` says which of the two holds.
    """

    __tablename__ = "tds_entities"
    __table_args__ = (
        Index(
            "uq_tds_entities_local_id",
            "local_id",
            "entity_type",
            unique=True,
            postgresql_where=text("local_id IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    source: Mapped[str] = mapped_column(primary_key=True)
    entity_type: Mapped[str] = mapped_column(primary_key=True)
    source_entity_id: Mapped[str] = mapped_column(primary_key=True)
    local_id: Mapped[str | None]
    version_time: Mapped[datetime | None]
    version_arrival: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    barrier_arrival: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    barrier_time: Mapped[datetime | None]
    barrier_deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    content_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]
    last_applied_at: Mapped[datetime | None]
    last_verified_at: Mapped[datetime | None]
