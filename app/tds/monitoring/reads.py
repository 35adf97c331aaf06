"""What dashboards read of the pipeline: every function is bounded, whatever the tables hold."""

from __future__ import annotations

from app.tds.monitoring.depths import read_depth_series, read_depths
from app.tds.monitoring.entities import read_entities
from app.tds.monitoring.figures import Depths, EntityFigures, Point, Rates, Sums, Today, WorkerRow
from app.tds.monitoring.rates import read_rates, read_series, read_sums, read_today
from app.tds.monitoring.workers import read_workers

__all__ = [
    "Depths",
    "EntityFigures",
    "Point",
    "Rates",
    "Sums",
    "Today",
    "WorkerRow",
    "read_depth_series",
    "read_depths",
    "read_entities",
    "read_rates",
    "read_series",
    "read_sums",
    "read_today",
    "read_workers",
]
