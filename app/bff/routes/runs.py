"""``/runs``: the history; start, look at, cancel, resume."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, TypeAdapter

from app.bff.cache import View
from app.bff.front import Front, as_view, database_now
from app.bff.pages import PageQuery, Word, cut
from app.bff.refusals import kept, refusals
from app.bff.views.runs import RunDetail, RunEntry
from app.core.security.guard import actor_of
from app.tds.api.views import RunBody
from app.tds.types import EventStatus

__all__ = ["add_run_actions", "add_run_looks"]

_TTL: Final = 30
_LIST: Final = TypeAdapter(list[RunEntry])


class RunQuery(PageQuery):
    """Which runs."""

    entity_type: Word | None = None
    source: Word | None = None
    status: list[EventStatus] = Field(default_factory=list[EventStatus], max_length=8, description="One or several.")


def add_run_looks(router: APIRouter, front: Front) -> None:
    """Routes that look at runs."""

    @router.get("/runs", operation_id="getRunHistory", response_model=list[RunEntry], responses=kept(pages=True))
    async def get_run_history(query: Annotated[RunQuery, Query()], request: Request) -> Response:
        """Sync runs, newest first. Kept for 30 seconds; what a person does shows at once."""

        async def compute() -> View:
            async with front.steering() as steering:
                found = await steering.find_runs(
                    source=query.source,
                    entity_type=query.entity_type,
                    statuses=query.status,
                    before=query.cursor,
                    limit=query.limit + 1,
                )
                now = await database_now(steering.db)
            page = cut(request, found, query.limit)
            return as_view(_LIST, [RunEntry.of(one, now) for one in page.rows], page.link)

        return await front.cache.respond(request, ttl=_TTL, compute=compute)

    @router.get("/runs/{run_id}", operation_id="getRunDetail", responses=refusals(404))
    async def get_run_detail(run_id: UUID) -> RunDetail:
        """One run: how far it is, and how long it will still take."""
        async with front.steering() as steering:
            return RunDetail.of(await steering.get_run(run_id), await database_now(steering.db))


def add_run_actions(router: APIRouter, front: Front) -> None:
    """Routes that steer runs."""

    @router.post("/runs", status_code=202, operation_id="startSyncRun", responses=refusals(404, 409))
    async def start_sync_run(body: RunBody, request: Request) -> RunDetail:
        """Have the workers read an entity type of a source: everything, or what changed."""
        async with front.steering() as steering:
            run = await steering.start_run(
                source=body.source, entity_type=body.entity_type, mode=body.mode, actor=actor_of(request)
            )
            now = await database_now(steering.db)
        front.desk.doorbell.ring("runs")
        return RunDetail.of(run, now)

    @router.post("/runs/{run_id}/cancel", operation_id="cancelSyncRun", responses=refusals(404, 409))
    async def cancel_sync_run(run_id: UUID, request: Request) -> RunDetail:
        """Stop reading, and cancel what is queued and not begun. What has been applied stays."""
        async with front.steering() as steering:
            run = await steering.cancel_run(run_id, actor=actor_of(request))
            return RunDetail.of(run, await database_now(steering.db))

    @router.post("/runs/{run_id}/resume", status_code=202, operation_id="resumeSyncRun", responses=refusals(404, 409))
    async def resume_sync_run(run_id: UUID, request: Request) -> RunDetail:
        """Let a failed or cancelled run go on where it stopped."""
        async with front.steering() as steering:
            run = await steering.resume_run(run_id, actor=actor_of(request))
            now = await database_now(steering.db)
        front.desk.doorbell.ring("runs")
        return RunDetail.of(run, now)
