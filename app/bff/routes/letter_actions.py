"""``/dead-letter``: mend letters, try them, reprocess and resolve them; one by one or in bulk."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from app.bff.front import Front
from app.bff.refusals import refusals
from app.bff.routes.letters import letter_detail
from app.bff.views.letters import DeadLetterDetail, DeadLetterProblems
from app.core.security.guard import actor_of
from app.tds.api.letters import check_count
from app.tds.api.views import (
    BulkReprocess,
    BulkResolve,
    DryRunView,
    EditBody,
    FieldErrorView,
    JobView,
    ReprocessBody,
    ReprocessedView,
    ResolveBody,
    TryBody,
)

__all__ = ["add_bulk_actions", "add_letter_actions"]


def add_letter_actions(router: APIRouter, front: Front) -> None:
    """Routes that do something to one letter."""
    _add_trials(router, front)

    @router.patch("/dead-letter/{letter_id}", operation_id="editLetter", responses=refusals(404, 409))
    async def edit_letter(letter_id: UUID, body: EditBody, request: Request) -> DeadLetterDetail:
        """Keep a mended document, or a half mended one: `problems` tells what is still wrong with it."""
        async with front.letters() as service:
            letter = await service.edit(letter_id, body.payload, actor=actor_of(request), expected=body.revision)
            return await letter_detail(service, letter)

    @router.post(
        "/dead-letter/{letter_id}/reprocess",
        status_code=202,
        operation_id="reprocessLetter",
        responses=refusals(404, 409),
    )
    async def reprocess_letter(letter_id: UUID, request: Request, body: ReprocessBody | None = None) -> ReprocessedView:
        """Queue it again, first in line, and resolve it; if something newer was applied meanwhile, that stays."""
        given = body or ReprocessBody()
        async with front.letters() as service:
            item = await service.reprocess(
                letter_id, payload=given.payload, actor=actor_of(request), expected=given.revision
            )
        front.desk.doorbell.ring("queue")
        return ReprocessedView(dead_letter_id=letter_id, queue_id=item.id, status=item.status)

    @router.post("/dead-letter/{letter_id}/resolve", operation_id="resolveLetter", responses=refusals(404, 409))
    async def resolve_letter(letter_id: UUID, body: ResolveBody, request: Request) -> DeadLetterDetail:
        """Close it, and do nothing else."""
        async with front.letters() as service:
            letter = await service.resolve(letter_id, note=body.note, actor=actor_of(request))
            return await letter_detail(service, letter)


def _add_trials(router: APIRouter, front: Front) -> None:
    @router.post("/dead-letter/{letter_id}/validate", operation_id="validateLetter", responses=refusals(404))
    async def validate_letter(letter_id: UUID, body: TryBody | None = None) -> DeadLetterProblems:
        """What is wrong with the letter's document, or with another in its place. Nothing is changed."""
        async with front.letters() as service:
            letter = await service.get(letter_id)
            found = service.validate(letter, body.payload if body else None)
        return DeadLetterProblems(problems=[FieldErrorView.model_validate(one) for one in found])

    @router.post("/dead-letter/{letter_id}/dry-run", operation_id="dryRunLetter", responses=refusals(404, 409))
    async def dry_run_letter(letter_id: UUID, body: TryBody | None = None) -> DryRunView:
        """What reprocessing would change, field by field. Nothing is changed."""
        async with front.letters() as service:
            return DryRunView.of(await service.dry_run(letter_id, body.payload if body else None))


def add_bulk_actions(router: APIRouter, front: Front) -> None:
    """Routes that do something to many letters: they answer with a job, which the workers carry out."""

    @router.post(
        "/dead-letter/bulk/reprocess", status_code=202, operation_id="reprocessLetters", responses=refusals(409)
    )
    async def reprocess_letters(body: BulkReprocess, request: Request) -> JobView:
        """Reprocess all open letters that fit. Count them first, and send the number as `expected_count`."""
        async with front.letters() as service, service.db.begin():
            await check_count(service, body)
            job = await service.reprocess_all(body.criteria.criteria(), actor=actor_of(request))
        front.desk.doorbell.ring("jobs")
        return JobView.of(job)

    @router.post("/dead-letter/bulk/resolve", status_code=202, operation_id="resolveLetters", responses=refusals(409))
    async def resolve_letters(body: BulkResolve, request: Request) -> JobView:
        """Resolve all open letters that fit, with a note. Count them first, as for reprocessing."""
        async with front.letters() as service, service.db.begin():
            await check_count(service, body)
            job = await service.resolve_all(body.criteria.criteria(), note=body.note, actor=actor_of(request))
        front.desk.doorbell.ring("jobs")
        return JobView.of(job)
