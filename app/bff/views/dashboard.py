"""The dashboard: the whole in one call."""

from __future__ import annotations

from pydantic import Field

from app.bff.health import HealthWord
from app.bff.views.alerts import AlertEntry
from app.bff.views.base import View, with_example
from app.bff.views.runs import RunEntry
from app.bff.words import Percentage

__all__ = ["DashboardView", "HealthView", "QueueView"]


class HealthView(View):
    """How the sync is."""

    model_config = with_example(
        {
            "status": "healthy",
            "queue_depth": 0,
            "processing_rate": 12.5,
            "error_rate": 0.5,
            "active_workers": 2,
            "active_alerts": 0,
        }
    )

    status: HealthWord = Field(
        description=(
            "The first that holds. stalled: items have waited for five minutes, and no worker is alive or nothing was "
            "processed in that time. critical: more than 10,000 items wait, more than 10 % fail, or a critical alert "
            "is active. degraded: another alert is active, an item's worker is gone, or items wait and no worker is "
            "alive. healthy: none of these."
        )
    )
    queue_depth: int = Field(description="Items that wait for a worker.")
    processing_rate: float = Field(ge=0, description="Items a minute, over the last five minutes.")
    error_rate: Percentage = Field(description="Per cent of the last hour's items that failed.")
    active_workers: int
    active_alerts: int


class QueueView(View):
    """The queue and what came of it."""

    model_config = with_example(
        {
            "pending": 0,
            "processing": 2,
            "completed_today": 1250,
            "failed_today": 5,
            "retry_ready": 0,
            "dead_letter": 3,
        }
    )

    pending: int
    processing: int
    completed_today: int = Field(description="Since midnight in the time zone of TDS_SERVER_TIME_ZONE.")
    failed_today: int = Field(description="Attempts that failed since then.")
    retry_ready: int = Field(description="Failed before, and due to be tried again.")
    dead_letter: int = Field(description="Open dead letters.")


class DashboardView(View):
    """The whole in one call; runs as in `/runs`, alerts as in `/alerts`, the newest of each."""

    health: HealthView
    queue: QueueView
    recent_runs: list[RunEntry]
    alerts: list[AlertEntry]
