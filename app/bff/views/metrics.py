"""The series of what was processed."""

from __future__ import annotations

from pydantic import Field

from app.bff.views.base import View, with_example
from app.bff.words import Percentage, Stamp, percentage
from app.tds.monitoring.reads import Point

__all__ = ["MetricPoint"]


class MetricPoint(View):
    """A minute or an hour: what ended in it. Latencies go from receipt to commit, in milliseconds."""

    model_config = with_example(
        {
            "at": "2025-11-05T10:05:00Z",
            "processed": 120,
            "succeeded": 119,
            "failed": 1,
            "retried": 1,
            "dead": 0,
            "success_rate": 99.2,
            "latency_average_ms": 84.2,
            "latency_p95_ms": 210.0,
            "latency_max_ms": 391.5,
        }
    )

    at: Stamp = Field(description="When it begins.")
    processed: int = Field(description="Attempts that ended.")
    succeeded: int
    failed: int
    retried: int = Field(description="Of the failed ones: will be tried again.")
    dead: int = Field(description="Of the failed ones: became dead letters.")
    success_rate: Percentage
    latency_average_ms: float = Field(ge=0)
    latency_p95_ms: float = Field(ge=0)
    latency_max_ms: float = Field(ge=0)

    @classmethod
    def of(cls, point: Point) -> MetricPoint:
        """A point of the series."""
        sums = point.sums
        return cls(
            at=point.at,
            processed=sums.processed,
            succeeded=sums.succeeded,
            failed=sums.failed,
            retried=sums.retried,
            dead=sums.dead,
            success_rate=percentage(sums.succeeded, sums.processed, of_nothing=100.0),
            latency_average_ms=round(sums.average_ms, 1),
            latency_p95_ms=round(sums.quantile_ms(0.95), 1),
            latency_max_ms=round(sums.latency_max_ms, 1),
        )
