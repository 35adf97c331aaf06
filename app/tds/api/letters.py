"""``/dead-letters``: find, look at, edit, try, reprocess, resolve; one by one or in bulk."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.core.errors import ConflictError
from app.core.security.guard import actor_of
from app.core.security.openapi import refusals
from app.tds.api.desk import Desk, Limit, link_next
from app.tds.api.views import (
    BulkReprocess,
    BulkResolve,
    CountView,
    CriteriaBody,
    DryRunView,
    EditBody,
    FieldErrorView,
    GroupView,
    JobView,
    LetterDetail,
    LetterView,
    PageView,
    ReprocessBody,
    ReprocessedView,
    ResolveBody,
    TryBody,
)
from app.tds.core.dead_letter_service import DeadLetterService
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.models import TDSDeadLetterQueue

__all__ = ["CountChangedError", "add_bulk_routes", "add_letter_routes", "check_count"]

State = Literal["open", "resolved", "all"]
_REFUSALS = refusals(404, 409)
_RESOLVED = {"open": False, "resolved": True, "all": None}


class CountChangedError(ConflictError):
    """Another number of dead letters fits by now."""


class LetterQuery(CriteriaBody):
    """Which dead letters to list."""

    state: State = "open"
    limit: Limit = 50
    cursor: UUID | None = None

    def wanted(self) -> LetterCriteria:
        """The same for the service."""
        return replace(self.criteria(), resolved=_RESOLVED[self.state])


@asynccontextmanager
async def _service(desk: Desk) -> AsyncGenerator[DeadLetterService]:
    async with desk.database.session() as session:
        yield DeadLetterService(session, desk.sources, desk.applier)


def _detail(service: DeadLetterService, letter: TDSDeadLetterQueue) -> LetterDetail:
    problems = [] if letter.resolved else [FieldErrorView.model_validate(one) for one in service.validate(letter)]
    return LetterDetail.of(letter, problems)


def add_letter_routes(router: APIRouter, desk: Desk) -> None:
    """Routes that look at letters, and that do something to one."""
    _add_looks(router, desk)
    _add_actions(router, desk)


def _add_looks(router: APIRouter, desk: Desk) -> None:
    @router.get("/dead-letters", operation_id="listDeadLetters")
    async def list_letters(
        query: Annotated[LetterQuery, Query()], request: Request, response: Response
    ) -> PageView[LetterView]:
        """Dead letters, newest first."""
        async with _service(desk) as service:
            found = await service.find(query.wanted(), before=query.cursor, limit=query.limit + 1)
        items = [LetterView.model_validate(one) for one in found[: query.limit]]
        return PageView(items=items, next_cursor=link_next(request, response, items, more=len(found) > query.limit))

    @router.get("/dead-letters/count", operation_id="countDeadLetters")
    async def count_letters(query: Annotated[LetterQuery, Query()]) -> CountView:
        """How many there are: what a bulk action would act on, if only open ones are counted."""
        async with _service(desk) as service:
            return CountView(count=await service.count(query.wanted()))

    @router.get("/dead-letters/groups", operation_id="groupDeadLetters")
    async def group_letters(query: Annotated[LetterQuery, Query()]) -> list[GroupView]:
        """Those that failed in the same way together, the largest groups first."""
        async with _service(desk) as service:
            groups = await service.groups(query.wanted(), limit=query.limit)
        return [GroupView.model_validate(one) for one in groups]

    @router.get("/dead-letters/{letter_id}", operation_id="getDeadLetter", responses=refusals(404))
    async def get_letter(letter_id: UUID) -> LetterDetail:
        """Everything about one."""
        async with _service(desk) as service:
            return _detail(service, await service.get(letter_id))


def _add_actions(router: APIRouter, desk: Desk) -> None:
    @router.patch("/dead-letters/{letter_id}", operation_id="editDeadLetter", responses=_REFUSALS)
    async def edit_letter(letter_id: UUID, body: EditBody, request: Request) -> LetterDetail:
        """Keep a mended document, or a half mended one: ``problems`` tells what is still wrong with it."""
        async with _service(desk) as service:
            actor = actor_of(request)
            letter = await service.edit(letter_id, body.payload, actor=actor, expected=body.revision)
            return _detail(service, letter)

    @router.post("/dead-letters/{letter_id}/dry-run", operation_id="dryRunDeadLetter", responses=_REFUSALS)
    async def dry_run(letter_id: UUID, body: TryBody | None = None) -> DryRunView:
        """What reprocessing would change. Nothing is changed."""
        async with _service(desk) as service:
            return DryRunView.of(await service.dry_run(letter_id, body.payload if body else None))

    @router.post(
        "/dead-letters/{letter_id}/reprocess", status_code=202, operation_id="reprocessDeadLetter", responses=_REFUSALS
    )
    async def reprocess(letter_id: UUID, request: Request, body: ReprocessBody | None = None) -> ReprocessedView:
        """Queue it again, first in line, and resolve it; if something newer was applied meanwhile, that stays."""
        given = body or ReprocessBody()
        async with _service(desk) as service:
            actor = actor_of(request)
            item = await service.reprocess(letter_id, payload=given.payload, actor=actor, expected=given.revision)
        desk.doorbell.ring("queue")
        return ReprocessedView(dead_letter_id=letter_id, queue_id=item.id, status=item.status)

    @router.post("/dead-letters/{letter_id}/resolve", operation_id="resolveDeadLetter", responses=_REFUSALS)
    async def resolve(letter_id: UUID, body: ResolveBody, request: Request) -> LetterDetail:
        """Close it, and do nothing else."""
        async with _service(desk) as service:
            return _detail(service, await service.resolve(letter_id, note=body.note, actor=actor_of(request)))


async def check_count(service: DeadLetterService, body: BulkReprocess) -> None:
    """Hold the number of letters that fit against the one that the caller has seen.

    Raises:
        CountChangedError: it is another by now.
    """
    if body.expected_count is None:
        return
    count = await service.count(body.criteria.criteria())
    if count != body.expected_count:
        raise CountChangedError(f"{count} dead letters fit by now, not {body.expected_count}: look again")


def add_bulk_routes(router: APIRouter, desk: Desk) -> None:
    """Routes that do something to many letters: they answer with a job, which the workers carry out."""

    @router.post(
        "/dead-letters/bulk/reprocess", status_code=202, operation_id="reprocessDeadLetters", responses=refusals(409)
    )
    async def reprocess_all(body: BulkReprocess, request: Request) -> JobView:
        """Reprocess all open ones that fit."""
        async with _service(desk) as service, service.db.begin():
            await check_count(service, body)
            job = await service.reprocess_all(body.criteria.criteria(), actor=actor_of(request))
        desk.doorbell.ring("jobs")
        return JobView.of(job)

    @router.post(
        "/dead-letters/bulk/resolve", status_code=202, operation_id="resolveDeadLetters", responses=refusals(409)
    )
    async def resolve_all(body: BulkResolve, request: Request) -> JobView:
        """Resolve all open ones that fit, with a note."""
        async with _service(desk) as service, service.db.begin():
            await check_count(service, body)
            job = await service.resolve_all(body.criteria.criteria(), note=body.note, actor=actor_of(request))
        desk.doorbell.ring("jobs")
        return JobView.of(job)
