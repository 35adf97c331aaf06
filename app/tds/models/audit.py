"""What changed, from what to what, by whom."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from app.core.orm import Base, Json, StrEnumType
from app.tds.models.common import CreatedAt, PrimaryId, one_of
from app.tds.types import OperationType

__all__ = ["TDSAuditTrail"]


class TDSAuditTrail(Base):
    """One change of one entity. ``before`` and ``after`` hold the changed fields only, except that a creation
    and a deletion hold the whole row. ``change_source`` is the source's name, or ``manual``;
    ``origin`` tells from where a person has acted.
    """

    __tablename__ = "tds_audit_trail"
    __table_args__ = (
        one_of("operation", OperationType),
        Index("ix_tds_audit_trail_entity", "entity_id", "entity_type", "id"),
        Index("ix_tds_audit_trail_manual", "id", postgresql_where=text("change_source = 'manual'")),
        Index("ix_tds_audit_trail_actor", "actor", "id", postgresql_where=text("change_source = 'manual'")),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[PrimaryId]
    entity_type: Mapped[str]
    entity_id: Mapped[str]
    source_entity_id: Mapped[str | None]
    operation: Mapped[OperationType] = mapped_column(StrEnumType(OperationType))
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    after: Mapped[dict[str, Any] | None] = mapped_column(Json)
    changed_fields: Mapped[list[str]] = mapped_column(ARRAY(Text))
    change_source: Mapped[str]
    actor: Mapped[str]
    origin: Mapped[str | None]
    queue_id: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
