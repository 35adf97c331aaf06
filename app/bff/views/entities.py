"""Entities: how each type is doing, and one of them in full."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from app.bff.views.base import View, with_example
from app.bff.words import Percentage, Stamp

__all__ = ["EntityDetail", "EntityStatusEntry", "Freshness", "LocalRow"]


class EntityStatusEntry(View):
    """How one entity type is doing."""

    model_config = with_example(
        {
            "entity_type": "product",
            "last_sync": "2025-11-05T10:05:00Z",
            "total_synced": 2000,
            "pending": 0,
            "failed_last_24h": 2,
            "success_rate": 99.9,
        }
    )

    entity_type: str
    last_sync: Stamp | None = Field(description="When a change was last applied; null if none ever was.")
    total_synced: int = Field(description="How many are in step here; deleted ones do not count.")
    pending: int = Field(description="Changes that wait for a worker.")
    failed_last_24h: int = Field(description="Attempts that failed in the last 24 hours.")
    success_rate: Percentage = Field(description="Per cent of the last 24 hours' items; 100 where there were none.")


_ROW: Final = {
    "id": "01931f2e-7b1c-7a10-8e55-2f4d6c8b0a19",
    "row": {"name": "ماوس لاسلكي", "sku": "MOU-RA-00847", "price": "12.50", "currency": "USD"},
    "parts": {},
}


class LocalRow(View):
    """An entity as it stands in the local tables; money is text."""

    model_config = with_example(_ROW)

    id: str
    row: dict[str, Any]
    parts: dict[str, list[dict[str, Any]]] = Field(description="What belongs to it, such as a customer's addresses.")


class Freshness(View):
    """How far an entity here is behind its source, as far as TDS can know."""

    state: Literal["in_step", "changes_waiting", "failed", "deleted", "never_applied"] = Field(
        description=(
            "failed: its newest change is an open dead letter. changes_waiting: a change is queued or being applied. "
            "deleted: it is gone at the source, and here. never_applied: known by name only."
        )
    )
    waiting: int = Field(description="Changes of it that are queued or being applied, at most 100 counted.")
    open_letters: int = Field(description="Its open dead letters, at most 100 counted.")
    last_applied_at: Stamp | None
    last_verified_at: Stamp | None = Field(description="When both sides were last compared.")


class EntityDetail(View):
    """One entity: what is known of it and what stands here."""

    model_config = with_example(
        {
            "source": "zoho",
            "entity_type": "product",
            "source_entity_id": "zoho-123",
            "local_id": _ROW["id"],
            "deleted": False,
            "version_time": "2025-11-05T10:04:58Z",
            "content_hash": "9f86d081884c7d65",
            "known_since": "2025-10-01T06:00:00Z",
            "freshness": {
                "state": "in_step",
                "waiting": 0,
                "open_letters": 0,
                "last_applied_at": "2025-11-05T10:05:00Z",
                "last_verified_at": None,
            },
            "local": _ROW,
        }
    )

    source: str
    entity_type: str
    source_entity_id: str
    local_id: str | None
    deleted: bool
    version_time: datetime | None = Field(description="The source's modification time of what is applied.")
    content_hash: str | None = Field(description="Of the document that is applied, in hexadecimal digits.")
    known_since: Stamp | None
    freshness: Freshness
    local: LocalRow | None
