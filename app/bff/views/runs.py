"""Runs, as a phone shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import Field

from app.bff.views.base import View, with_example
from app.bff.words import Stamp, duration_text, percentage
from app.tds.core.runs import eta_seconds
from app.tds.models import TDSSyncRun
from app.tds.types import EventStatus, RunMode, SourceType

__all__ = ["RunDetail", "RunEntry"]

_ENTRY: Final = {
    "id": "01932c07-5d4a-7b3e-9c1f-3d2a6b8e4f10",
    "type": "zoho",
    "entity_type": "product",
    "status": "completed",
    "progress_percentage": 100.0,
    "processed": 2000,
    "total": 2000,
    "failed": 0,
    "started_at": "2025-11-05T10:00:00Z",
    "duration": "5m30s",
}


def _progress(run: TDSSyncRun) -> float:
    return percentage(run.processed_events, run.total_events, of_nothing=100.0 if run.completed_at else 0.0)


def _duration(run: TDSSyncRun, now: datetime) -> str | None:
    return None if run.started_at is None else duration_text((run.completed_at or now) - run.started_at)


class RunEntry(View):
    """A run in a list."""

    model_config = with_example(_ENTRY)

    id: UUID
    type: SourceType = Field(description="The kind of source.")
    entity_type: str
    status: EventStatus = Field(description="pending, processing, completed, failed or cancelled.")
    progress_percentage: float = Field(
        ge=0, le=100, description="Of what has been read so far; reading goes on until the run's `scan_completed`."
    )
    processed: int
    total: int = Field(description="Grows while the source is being read.")
    failed: int
    started_at: Stamp | None = Field(description="null until a worker has begun.")
    duration: str | None = Field(description='Such as "45s", "5m30s", "1h2m3s"; null until started.')

    @classmethod
    def of(cls, run: TDSSyncRun, now: datetime) -> RunEntry:
        """A run as it is ``now``."""
        return cls(
            id=run.id,
            type=run.run_type,
            entity_type=run.entity_type,
            status=run.status,
            progress_percentage=_progress(run),
            processed=run.processed_events,
            total=run.total_events,
            failed=run.failed_events,
            started_at=run.started_at,
            duration=_duration(run, now),
        )


class RunDetail(RunEntry):
    """Everything about a run."""

    model_config = with_example(
        {
            **_ENTRY,
            "source": "zoho",
            "mode": "full",
            "managed": True,
            "succeeded": 1990,
            "skipped": 10,
            "pages": 10,
            "scan_completed": True,
            "since": None,
            "cancel_requested": False,
            "next_attempt_at": None,
            "error_summary": None,
            "started_by": "ann",
            "created_at": "2025-11-05T09:59:58Z",
            "completed_at": "2025-11-05T10:05:30Z",
            "eta_seconds": None,
        }
    )

    source: str
    mode: RunMode
    managed: bool = Field(description="Whether TDS's own workers read it; others can neither be resumed nor cancelled.")
    succeeded: int
    skipped: int = Field(description="Unchanged, or overtaken by something newer.")
    pages: int = Field(description="How many pages of the source have been read.")
    scan_completed: bool = Field(description="Whether the source has been read to its end: `total` is final then.")
    since: Stamp | None = Field(description="What an incremental run begins with; null reads everything.")
    cancel_requested: bool
    next_attempt_at: Stamp | None = Field(description="When reading is tried again after a fault of the source.")
    error_summary: str | None
    started_by: str | None
    created_at: Stamp
    completed_at: Stamp | None
    eta_seconds: float | None = Field(description="How long it will still take; null where that cannot be told.")

    @classmethod
    def of(cls, run: TDSSyncRun, now: datetime) -> RunDetail:
        """A run as it is ``now``."""
        eta = None if run.completed_at is not None else eta_seconds(run, now)
        return cls(
            **dict(RunEntry.of(run, now)),
            source=run.source,
            mode=run.mode,
            managed=run.managed,
            succeeded=run.successful_events,
            skipped=run.skipped_events,
            pages=run.pages,
            scan_completed=run.scan_completed,
            since=run.since,
            cancel_requested=run.cancel_requested,
            next_attempt_at=run.next_attempt_at,
            error_summary=run.error_summary,
            started_by=run.started_by,
            created_at=run.created_at,
            completed_at=run.completed_at,
            eta_seconds=None if eta is None else round(eta, 1),
        )
