"""Tables of the event log and of its durable readers."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Sequence, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from app.core.orm import Base, Json

__all__ = ["EVENT_LOG_POSITION", "EventLogEntry", "EventSubscription", "Xid8"]

EVENT_LOG_POSITION = Sequence("event_log_position_seq", metadata=Base.metadata)


class Xid8(UserDefinedType[int]):
    """``xid8``: a transaction id that never wraps around; an int in Python."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Its name in DDL."""
        return "XID8"


class EventLogEntry(Base):
    """One domain event, for ever; written by `app.core.events.event_log` only.

    ``xid`` stands before ``position`` on purpose. A row's defaults are computed in the order of its columns, so a
    transaction has its id, and holds ``pg_snapshot_xmin`` down, before it takes its first position. The other way
    round, a reader could pass a position that was taken but belongs to no transaction yet, and miss its event.
    """

    __tablename__ = "event_log"
    __table_args__ = (
        Index(None, "position"),
        Index(None, "aggregate_type", "aggregate_id", "event_id"),
        {"postgresql_partition_by": "RANGE (event_id)"},
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    position: Mapped[int] = mapped_column(BigInteger, server_default=EVENT_LOG_POSITION.next_value())
    event_type: Mapped[str]
    module: Mapped[str]
    occurred_at: Mapped[datetime]
    aggregate_type: Mapped[str | None]
    aggregate_id: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    correlation_id: Mapped[str | None]


class EventSubscription(Base):
    """How far a durable subscriber has read, and how its newest attempt went."""

    __tablename__ = "event_subscriptions"

    name: Mapped[str] = mapped_column(primary_key=True)
    pattern: Mapped[str]
    position: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    xid: Mapped[int | None] = mapped_column(Xid8)
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    last_error: Mapped[str | None]
    next_attempt_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
