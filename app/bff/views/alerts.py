"""Alerts, as a phone shows them."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.bff.views.base import View, with_example
from app.bff.words import Stamp

__all__ = ["SEVERITIES", "AlertDetail", "AlertEntry", "AlertNote", "Severity"]

Severity: TypeAlias = Literal["info", "warning", "error", "critical"]
SEVERITIES: Final = ("info", "warning", "error", "critical")
"""From the least to the worst."""

_ENTRY: Final = {
    "id": "01932c22-81d0-7c55-8a6e-5f0b1c9d7e21",
    "severity": "error",
    "title": "High failure rate detected",
    "message": "Product sync failure rate exceeded 10% in last hour",
    "triggered_at": "2025-11-05T10:30:00Z",
    "is_active": True,
    "acknowledged": False,
}


class AlertEntry(View):
    """An alert in a list."""

    model_config = with_example(_ENTRY)

    id: UUID
    severity: Severity
    title: str
    message: str
    triggered_at: Stamp
    is_active: bool = Field(description="Until it resolves itself, or a person resolves it.")
    acknowledged: bool = Field(description="Whether a person has taken it on.")


class AlertDetail(AlertEntry):
    """Everything about an alert."""

    model_config = with_example(
        {
            **_ENTRY,
            "rule": "failure_rate",
            "subject": "product",
            "value": 12.5,
            "threshold": 10.0,
            "acknowledged_at": None,
            "acknowledged_by": None,
            "acknowledgement_note": None,
            "resolved_at": None,
            "run_id": None,
        }
    )

    rule: str = Field(description="What set it off.")
    subject: str = Field(description="What it is about: an entity type, a worker, or nothing in particular.")
    value: float | None = Field(description="What was measured.")
    threshold: float | None = Field(description="What it was held against.")
    acknowledged_at: Stamp | None
    acknowledged_by: str | None
    acknowledgement_note: str | None
    resolved_at: Stamp | None
    run_id: UUID | None


class AlertNote(BaseModel):
    """What a person says when they take an alert on, or close it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "Looking into it."}]})

    note: Annotated[str, Field(max_length=2_000)] | None = None
