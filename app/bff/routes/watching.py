"""``/audit``, ``/workers``, ``/metrics`` and ``/breakers``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.bff.breakers import list_breakers, reset_breaker
from app.bff.front import Front, linked
from app.bff.pages import PageQuery, Word
from app.bff.reads.lists import AuditCriteria, find_audit
from app.bff.refusals import linked_page, refusals
from app.bff.routes.entities import PathWord
from app.bff.views.watching import AuditTrailEntry, BreakerView, WorkerView
from app.core.security.guard import actor_of
from app.tds.monitoring.reads import read_workers

__all__ = ["add_audit_routes", "add_breaker_routes", "add_worker_routes"]


class AuditQuery(PageQuery):
    """Which entries of the audit trail."""

    entity_type: Word | None = Field(default=None, description="Together with entity_id, actor or manual.")
    entity_id: Word | None = Field(default=None, description="The local id.")
    actor: Word | None = Field(default=None, description="A person.")
    manual: bool = Field(default=False, description="Only what persons did.")

    def criteria(self) -> AuditCriteria:
        """The same for the reader."""
        return AuditCriteria(
            entity_type=self.entity_type, entity_id=self.entity_id, actor=self.actor, manual=self.manual
        )


def add_audit_routes(router: APIRouter, front: Front) -> None:
    """The audit trail."""

    @router.get("/audit", operation_id="getAuditTrail", responses=linked_page())
    async def get_audit_trail(
        query: Annotated[AuditQuery, Query()], request: Request, response: Response
    ) -> list[AuditTrailEntry]:
        """What was changed, from what to what, by whom; newest first."""
        async with front.reading() as session:
            found = await find_audit(session, query.criteria(), before=query.cursor, limit=query.limit + 1)
        return [AuditTrailEntry.model_validate(one) for one in linked(request, response, found, query.limit)]


class WorkerQuery(BaseModel):
    """Which workers."""

    model_config = ConfigDict(extra="forbid")

    alive: bool | None = Field(default=None, description="Only those that are alive, or only those that are not.")


def add_worker_routes(router: APIRouter, front: Front) -> None:
    """The workers."""

    @router.get("/workers", operation_id="getWorkers")
    async def get_workers(query: Annotated[WorkerQuery, Query()]) -> list[WorkerView]:
        """The workers of the last days, at most 500: who is alive, and what each is doing."""
        async with front.reading() as session:
            found = await read_workers(session)
        return [WorkerView.model_validate(one) for one in found if query.alive in {None, one.alive}]


def add_breaker_routes(router: APIRouter, front: Front) -> None:
    """Circuit breakers of outside APIs."""

    @router.get("/breakers", operation_id="getBreakers")
    async def get_breakers() -> list[BreakerView]:
        """What is known of each outside API's health."""
        async with front.reading() as session:
            return [BreakerView.model_validate(one) for one in await list_breakers(session)]

    @router.post("/breakers/{name}/reset", operation_id="resetBreaker", responses=refusals(404))
    async def reset(name: PathWord, request: Request) -> BreakerView:
        """Close a breaker: the next call goes through, and opens it again if the API is still down."""
        async with front.desk.database.session() as session:
            return BreakerView.model_validate(await reset_breaker(session, name, actor=actor_of(request)))
