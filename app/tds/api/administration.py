"""Administration under ``/api/tds``: dead letters, jobs, runs and pauses; viewers look, operators act."""

from __future__ import annotations

from fastapi import APIRouter

from app.core.security.gate import Gate
from app.core.security.guard import guarded_router
from app.tds.api.desk import Desk
from app.tds.api.letters import add_bulk_routes, add_letter_routes
from app.tds.api.runs import add_job_routes, add_pause_routes, add_run_routes

__all__ = ["administration_router"]


def administration_router(desk: Desk, gate: Gate) -> APIRouter:
    """All routes of the administration. Each action is recorded with who did it, and from where."""
    router = guarded_router(gate, prefix="/api/tds")
    for tag, add in (
        ("dead letters", add_bulk_routes),  # before the routes of one letter, whose id "bulk" would be taken for
        ("dead letters", add_letter_routes),
        ("jobs", add_job_routes),
        ("runs", add_run_routes),
        ("pauses", add_pause_routes),
    ):
        router.tags = [tag]
        add(router, desk)
    router.tags = []
    return router
