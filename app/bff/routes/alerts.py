"""``/alerts``: what needs a person; acknowledge, resolve."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, TypeAdapter

from app.bff.cache import View
from app.bff.front import Front, as_view
from app.bff.pages import PageQuery, Word, cut
from app.bff.refusals import kept, refusals
from app.bff.views.alerts import AlertDetail, AlertEntry, AlertNote, Severity
from app.core.security.guard import actor_of
from app.tds.monitoring.alerts import AlertService

__all__ = ["add_alert_routes"]

_TTL: Final = 30
_LIST: Final = TypeAdapter(list[AlertEntry])
_ACTIVE: Final = {"false": True, "true": False, "all": None}


class AlertQuery(PageQuery):
    """Which alerts."""

    severity: Severity | None = None
    rule: Word | None = Field(default=None, description="What set them off.")
    acknowledged: bool | None = None
    resolved: Literal["false", "true", "all"] = Field(default="false", description="Active ones, if not given.")


@asynccontextmanager
async def _service(front: Front) -> AsyncGenerator[AlertService]:
    async with front.desk.database.session() as session:
        yield AlertService(session)


def add_alert_routes(router: APIRouter, front: Front) -> None:
    """All routes of alerts."""
    _add_looks(router, front)
    _add_actions(router, front)


def _add_looks(router: APIRouter, front: Front) -> None:
    @router.get("/alerts", operation_id="getActiveAlerts", response_model=list[AlertEntry], responses=kept(pages=True))
    async def get_active_alerts(query: Annotated[AlertQuery, Query()], request: Request) -> Response:
        """Active alerts, newest first. Kept for 30 seconds; what fires, ends or is acknowledged shows at once."""

        async def compute() -> View:
            async with _service(front) as service:
                found = await service.find(
                    active=_ACTIVE[query.resolved],
                    severity=query.severity,
                    rule=query.rule,
                    acknowledged=query.acknowledged,
                    before=query.cursor,
                    limit=query.limit + 1,
                )
            page = cut(request, found, query.limit)
            return as_view(_LIST, [AlertEntry.model_validate(one) for one in page.rows], page.link)

        return await front.cache.respond(request, ttl=_TTL, compute=compute)

    @router.get("/alerts/{alert_id}", operation_id="getAlert", responses=refusals(404))
    async def get_alert(alert_id: UUID) -> AlertDetail:
        """Everything about one."""
        async with _service(front) as service:
            return AlertDetail.model_validate(await service.get(alert_id))


def _add_actions(router: APIRouter, front: Front) -> None:
    @router.post("/alerts/{alert_id}/acknowledge", operation_id="acknowledgeAlert", responses=refusals(404, 409))
    async def acknowledge_alert(alert_id: UUID, request: Request, body: AlertNote | None = None) -> AlertDetail:
        """Say that somebody takes care of it. The first who does counts."""
        note = body.note if body else None
        async with _service(front) as service:
            return AlertDetail.model_validate(await service.acknowledge(alert_id, note, actor_of(request)))

    @router.post("/alerts/{alert_id}/resolve", operation_id="resolveAlert", responses=refusals(404, 409))
    async def resolve_alert(alert_id: UUID, request: Request, body: AlertNote | None = None) -> AlertDetail:
        """Declare it over. It fires again only once its cause has ended and come back."""
        note = body.note if body else None
        async with _service(front) as service:
            return AlertDetail.model_validate(await service.resolve(alert_id, note, actor_of(request)))
