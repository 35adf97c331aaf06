"""``/dashboard``, and ``/entities`` by type: the whole at a glance."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from app.bff.cache import View
from app.bff.front import Front, as_view
from app.bff.reads.overview import read_dashboard, read_entity_status
from app.bff.refusals import kept
from app.bff.views.dashboard import DashboardView
from app.bff.views.entities import EntityStatusEntry

__all__ = ["add_overview_routes"]

_DASHBOARD_TTL: Final = 30
_ENTITIES_TTL: Final = 60
_DASHBOARD: Final = TypeAdapter(DashboardView)
_ENTITIES: Final = TypeAdapter(list[EntityStatusEntry])


def add_overview_routes(router: APIRouter, front: Front) -> None:
    """Routes of the whole."""

    @router.get(
        "/dashboard",
        operation_id="getDashboard",
        response_model=DashboardView,
        responses=kept(),
    )
    async def get_dashboard(request: Request) -> Response:
        """Health, queue, newest runs and active alerts in one call. Kept for 30 seconds; actions show at once."""

        async def compute() -> View:
            async with front.reading() as session:
                return as_view(_DASHBOARD, await read_dashboard(session, front.zone))

        return await front.cache.respond(request, ttl=_DASHBOARD_TTL, compute=compute)

    @router.get(
        "/entities",
        operation_id="getEntityStatus",
        response_model=list[EntityStatusEntry],
        responses=kept(),
    )
    async def get_entity_status(request: Request) -> Response:
        """How each entity type is doing. Kept for 60 seconds; actions show at once."""

        async def compute() -> View:
            async with front.reading() as session:
                return as_view(_ENTITIES, await read_entity_status(session))

        return await front.cache.respond(request, ttl=_ENTITIES_TTL, compute=compute)
