"""Administration under ``/api/tds``: dead letters, jobs, runs and pauses, for whoever holds the admin token."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Depends
from pydantic import SecretStr

from app.core.database import Database
from app.core.doorbell import Doorbell
from app.tds.api.access import BEARER, guarded_router
from app.tds.api.desk import Desk
from app.tds.api.letters import add_bulk_routes, add_letter_routes
from app.tds.api.runs import add_job_routes, add_pause_routes, add_run_routes
from app.tds.core.apply import Applier
from app.tds.core.ports import Source

__all__ = ["administration_router"]


def administration_router(
    *, database: Database, doorbell: Doorbell, sources: Mapping[str, Source], applier: Applier, token: SecretStr | None
) -> APIRouter:
    """All routes of the administration. Each action is recorded with its actor: ``X-Actor``, or ``admin``."""
    desk = Desk(database=database, doorbell=doorbell, sources=sources, applier=applier)
    router = guarded_router(token, prefix="/api/tds")
    router.dependencies.append(Depends(BEARER))
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
