"""``/metrics``: what was processed, by the minute or the hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from app.bff.front import Front
from app.bff.pages import Word
from app.bff.views.metrics import MetricPoint
from app.core.clock import utc_now
from app.tds.api.views import Moment
from app.tds.monitoring.reads import read_series

__all__ = ["add_metric_routes"]

_DEFAULT_SPAN: Final = timedelta(hours=1)


class MetricQuery(BaseModel):
    """Which span, at which step, of which entity type."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(default=None, description="An hour before `until`, if not given.")
    until: Moment | None = Field(default=None, description="Now, if not given.")
    step: Literal["minute", "hour"] = "minute"
    entity_type: Word | None = Field(default=None, description="All of them, if not given.")


def add_metric_routes(router: APIRouter, front: Front) -> None:
    """The series."""

    @router.get("/metrics", operation_id="getMetrics")
    async def get_metrics(query: Annotated[MetricQuery, Query()]) -> list[MetricPoint]:
        """A point for each minute or hour, oldest first, idle ones included; at most 1,500 of them."""
        until = query.until or utc_now()
        async with front.reading() as session:
            points = await read_series(
                session,
                since=query.since or until - _DEFAULT_SPAN,
                until=until,
                step=query.step,
                entity_type=query.entity_type,
            )
        return [MetricPoint.of(one) for one in points]
