"""Entity types that are laid aside."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from app.core.orm import Base
from app.tds.models.common import CreatedAt, one_of

__all__ = ["TDSPause"]


class TDSPause(Base):
    """Queue items of ``entity_type`` (``*``: all) of ``source`` are laid aside (``pause``), or what waits is still
    worked off while nothing new is polled, and then it is paused (``drain``). What arrives is always kept.
    """

    __tablename__ = "tds_pauses"
    __table_args__ = (one_of("mode", ["pause", "drain"]),)

    source: Mapped[str] = mapped_column(primary_key=True)
    entity_type: Mapped[str] = mapped_column(primary_key=True)
    mode: Mapped[str]
    note: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[CreatedAt]
