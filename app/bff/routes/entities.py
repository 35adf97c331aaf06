"""``/entities``: one entity in full, and what happened to it. The list of types is with the dashboard."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from app.bff.front import Front, linked
from app.bff.pages import PageQuery, Word
from app.bff.reads.entities import read_entity
from app.bff.reads.timeline import read_timeline
from app.bff.refusals import linked_page, refusals
from app.bff.views.entities import EntityDetail
from app.bff.views.timeline import TimelineEntry

__all__ = ["add_entity_routes"]

PathWord = Annotated[str, Path(min_length=1, max_length=200)]


class TimelineQuery(PageQuery):
    """Whose timeline: of which source."""

    source: Word = "zoho"


def add_entity_routes(router: APIRouter, front: Front) -> None:
    """Routes of one entity."""

    @router.get("/entities/{entity_type}/{source_entity_id}", operation_id="getEntity", responses=refusals(404))
    async def get_entity(
        entity_type: PathWord, source_entity_id: PathWord, source: Annotated[Word, Query()] = "zoho"
    ) -> EntityDetail:
        """One entity by its id at the source: how fresh it is, and how it stands here."""
        async with front.reading() as session:
            return await read_entity(session, source=source, entity_type=entity_type, source_entity_id=source_entity_id)

    @router.get(
        "/entities/{entity_type}/{source_entity_id}/timeline",
        operation_id="getEntityTimeline",
        response_model=list[TimelineEntry],
        responses=linked_page(404),
    )
    async def get_entity_timeline(
        entity_type: PathWord,
        source_entity_id: PathWord,
        query: Annotated[TimelineQuery, Query()],
        request: Request,
        response: Response,
    ) -> object:
        """What happened to it, newest first: raw events, queue items with their attempts, audit, events, letters."""
        async with front.reading() as session:
            found = await read_timeline(
                session,
                source=query.source,
                entity_type=entity_type,
                source_entity_id=source_entity_id,
                before=query.cursor,
                limit=query.limit + 1,
            )
        return linked(request, response, found, query.limit)
