"""``/runs``, ``/jobs`` and ``/pauses``: start, look at, cancel, resume."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.security.guard import actor_of
from app.core.security.openapi import refusals
from app.tds.api.desk import Cursor, Desk, Limit, link_next
from app.tds.api.views import JobView, PageView, PauseBody, PauseView, ResumedView, RunBody, RunView
from app.tds.core import jobs, pauses
from app.tds.core.steering import Steering
from app.tds.types import EventStatus

__all__ = ["add_job_routes", "add_pause_routes", "add_run_routes"]

_REFUSALS = refusals(404, 409)
Word = Annotated[str | None, Query(min_length=1, max_length=200)]


@asynccontextmanager
async def _steering(desk: Desk) -> AsyncGenerator[Steering]:
    async with desk.database.session() as session:
        yield Steering(session, desk.sources)


async def _now(session: AsyncSession) -> datetime:
    async with join_or_begin(session):
        return (await session.execute(select(func.now()))).scalar_one()


def add_run_routes(router: APIRouter, desk: Desk) -> None:
    """Routes of runs."""

    @router.post("/runs", status_code=202, operation_id="startRun", responses=_REFUSALS)
    async def start_run(body: RunBody, request: Request) -> RunView:
        """Have the workers read an entity of a source."""
        async with _steering(desk) as steering:
            run = await steering.start_run(
                source=body.source, entity_type=body.entity_type, mode=body.mode, actor=actor_of(request)
            )
            now = await _now(steering.db)
        desk.doorbell.ring("runs")
        return RunView.of(run, now)

    @router.get("/runs", operation_id="listRuns")
    async def list_runs(
        request: Request,
        response: Response,
        *,
        source: Word = None,
        entity_type: Word = None,
        status: Annotated[list[EventStatus] | None, Query()] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> PageView[RunView]:
        """Runs, newest first."""
        async with _steering(desk) as steering:
            found = await steering.find_runs(
                source=source, entity_type=entity_type, statuses=status or (), before=cursor, limit=limit + 1
            )
            now = await _now(steering.db)
        items = [RunView.of(one, now) for one in found[:limit]]
        return PageView(items=items, next_cursor=link_next(request, response, items, more=len(found) > limit))

    @router.get("/runs/{run_id}", operation_id="getRun", responses=refusals(404))
    async def get_run(run_id: UUID) -> RunView:
        """One run: how far it is, and how long it will still take."""
        async with _steering(desk) as steering:
            return RunView.of(await steering.get_run(run_id), await _now(steering.db))

    @router.post("/runs/{run_id}/cancel", operation_id="cancelRun", responses=_REFUSALS)
    async def cancel_run(run_id: UUID, request: Request) -> RunView:
        """Stop reading, and cancel what is queued and not begun."""
        async with _steering(desk) as steering:
            return RunView.of(await steering.cancel_run(run_id, actor=actor_of(request)), await _now(steering.db))

    @router.post("/runs/{run_id}/resume", status_code=202, operation_id="resumeRun", responses=_REFUSALS)
    async def resume_run(run_id: UUID, request: Request) -> RunView:
        """Let a failed or cancelled run go on where it stopped."""
        async with _steering(desk) as steering:
            run = await steering.resume_run(run_id, actor=actor_of(request))
            now = await _now(steering.db)
        desk.doorbell.ring("runs")
        return RunView.of(run, now)


def add_job_routes(router: APIRouter, desk: Desk) -> None:
    """Routes of jobs."""

    @router.get("/jobs", operation_id="listJobs")
    async def list_jobs(
        request: Request, response: Response, *, open_only: bool = False, limit: Limit = 50, cursor: Cursor = None
    ) -> PageView[JobView]:
        """Jobs over dead letters, newest first."""
        async with desk.database.session() as session:
            found = await jobs.list_jobs(session, open_only=open_only, before=cursor, limit=limit + 1)
        items = [JobView.of(one) for one in found[:limit]]
        return PageView(items=items, next_cursor=link_next(request, response, items, more=len(found) > limit))

    @router.get("/jobs/{job_id}", operation_id="getJob", responses=refusals(404))
    async def get_job(job_id: UUID) -> JobView:
        """One job: how far it is."""
        async with desk.database.session() as session:
            return JobView.of(await jobs.get_job(session, job_id))

    @router.post("/jobs/{job_id}/cancel", operation_id="cancelJob", responses=_REFUSALS)
    async def cancel_job(job_id: UUID, request: Request) -> JobView:
        """End a job before its time; what it has done stays done."""
        async with desk.database.session() as session:
            return JobView.of(await jobs.cancel_job(session, job_id, actor=actor_of(request)))


def add_pause_routes(router: APIRouter, desk: Desk) -> None:
    """Routes of pauses and drains."""

    @router.get("/pauses", operation_id="listPauses")
    async def list_pauses() -> list[PauseView]:
        """What is paused or being drained."""
        async with desk.database.session() as session:
            return [PauseView.model_validate(one) for one in await pauses.list_pauses(session)]

    @router.post("/pauses", operation_id="pause", responses=_REFUSALS)
    async def pause(body: PauseBody, request: Request) -> PauseView:
        """Lay the work on an entity type of a source aside. What arrives is always kept."""
        async with _steering(desk) as steering:
            paused = await steering.pause(
                source=body.source,
                entity_type=body.entity_type,
                mode=body.mode,
                note=body.note,
                actor=actor_of(request),
            )
            return PauseView.model_validate(paused)

    @router.delete("/pauses/{source}/{entity_type}", operation_id="resume", responses=_REFUSALS)
    async def resume(source: str, entity_type: str, request: Request) -> ResumedView:
        """End a pause or a drain."""
        async with _steering(desk) as steering:
            awake = await steering.resume(source=source, entity_type=entity_type, actor=actor_of(request))
        desk.doorbell.ring("queue")
        desk.doorbell.ring("runs")
        return ResumedView(awake=awake)
