"""``/pauses``: work laid aside, and taken up again."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.bff.front import Front
from app.bff.refusals import refusals
from app.bff.routes.entities import PathWord
from app.core.security.guard import actor_of
from app.tds.api.views import PauseBody, PauseView, ResumedView
from app.tds.core import pauses

__all__ = ["add_pause_routes"]


def add_pause_routes(router: APIRouter, front: Front) -> None:
    """Routes of pauses and drains."""

    @router.get("/pauses", operation_id="getPauses")
    async def get_pauses() -> list[PauseView]:
        """What is paused or being drained; at most one for each entity type of a source."""
        async with front.reading() as session:
            return [PauseView.model_validate(one) for one in await pauses.list_pauses(session)]

    @router.post("/pauses", operation_id="pauseEntity", responses=refusals(404))
    async def pause_entity(body: PauseBody, request: Request) -> PauseView:
        """Lay the work on an entity type of a source aside. What arrives is always kept."""
        async with front.steering() as steering:
            paused = await steering.pause(
                source=body.source,
                entity_type=body.entity_type,
                mode=body.mode,
                note=body.note,
                actor=actor_of(request),
            )
            return PauseView.model_validate(paused)

    @router.delete("/pauses/{source}/{entity_type}", operation_id="resumeEntity", responses=refusals(409))
    async def resume_entity(source: PathWord, entity_type: PathWord, request: Request) -> ResumedView:
        """End a pause or a drain; the entity type `*` is the pause of all."""
        async with front.steering() as steering:
            awake = await steering.resume(source=source, entity_type=entity_type, actor=actor_of(request))
        front.desk.doorbell.ring("queue")
        front.desk.doorbell.ring("runs")
        return ResumedView(awake=awake)
