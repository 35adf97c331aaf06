"""``/jobs``: bulk work on dead letters, and how far it is."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.bff.front import Front, linked
from app.bff.pages import PageQuery
from app.bff.refusals import linked_page, refusals
from app.core.security.guard import actor_of
from app.tds.api.views import JobView
from app.tds.core import jobs

__all__ = ["add_job_routes"]


class JobQuery(PageQuery):
    """Which jobs."""

    open_only: bool = Field(default=False, description="Only those that have not ended.")


def add_job_routes(router: APIRouter, front: Front) -> None:
    """Routes of jobs."""

    @router.get("/jobs", operation_id="getJobs", responses=linked_page())
    async def get_jobs(query: Annotated[JobQuery, Query()], request: Request, response: Response) -> list[JobView]:
        """Jobs over dead letters, newest first."""
        async with front.reading() as session:
            found = await jobs.list_jobs(session, open_only=query.open_only, before=query.cursor, limit=query.limit + 1)
        return [JobView.of(one) for one in linked(request, response, found, query.limit)]

    @router.get("/jobs/{job_id}", operation_id="getJobProgress", responses=refusals(404))
    async def get_job_progress(job_id: UUID) -> JobView:
        """One job: how far it is."""
        async with front.reading() as session:
            return JobView.of(await jobs.get_job(session, job_id))

    @router.post("/jobs/{job_id}/cancel", operation_id="cancelBulkJob", responses=refusals(404, 409))
    async def cancel_bulk_job(job_id: UUID, request: Request) -> JobView:
        """End a job before its time; what it has done stays done."""
        async with front.desk.database.session() as session:
            return JobView.of(await jobs.cancel_job(session, job_id, actor=actor_of(request)))
