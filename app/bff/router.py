"""``/api/bff/tds``: what a phone or a page needs, in one call each."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from app.bff.front import Front
from app.bff.routes.alerts import add_alert_routes
from app.bff.routes.entities import add_entity_routes
from app.bff.routes.jobs import add_job_routes
from app.bff.routes.letter_actions import add_bulk_actions, add_letter_actions
from app.bff.routes.letters import add_letter_looks
from app.bff.routes.metrics import add_metric_routes
from app.bff.routes.overview import add_overview_routes
from app.bff.routes.pauses import add_pause_routes
from app.bff.routes.runs import add_run_actions, add_run_looks
from app.bff.routes.watching import add_audit_routes, add_breaker_routes, add_worker_routes
from app.core.security.gate import Gate
from app.core.security.guard import guarded_router

__all__ = ["CACHED_PATHS", "PREFIX", "bff_router"]

PREFIX: Final = "/api/bff/tds"
CACHED_PATHS: Final = frozenset(f"{PREFIX}/{one}" for one in ("dashboard", "runs", "entities", "alerts", "dead-letter"))
"""What the fast lane may answer."""

_PARTS: Final = (
    ("overview", add_overview_routes),
    ("sync runs", add_run_looks),
    ("sync runs", add_run_actions),
    ("entities", add_entity_routes),
    ("alerts", add_alert_routes),
    ("dead letter queue", add_bulk_actions),  # before the routes of one letter, whose id "bulk" would be taken for
    ("dead letter queue", add_letter_looks),
    ("dead letter queue", add_letter_actions),
    ("bulk jobs", add_job_routes),
    ("pauses and breakers", add_pause_routes),
    ("pauses and breakers", add_breaker_routes),
    ("watching", add_audit_routes),
    ("watching", add_worker_routes),
    ("watching", add_metric_routes),
)


def bff_router(front: Front, gate: Gate) -> APIRouter:
    """All routes of phones and pages, but the event stream."""
    router = guarded_router(gate, prefix=PREFIX)
    for tag, add in _PARTS:
        router.tags = [tag]
        add(router, front)
    router.tags = []
    return router
