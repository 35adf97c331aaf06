"""``/dead-letter``: look at letters."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, TypeAdapter

from app.bff.cache import View
from app.bff.front import Front, as_view
from app.bff.pages import Cursor, Limit, cut
from app.bff.reads.entities import read_local_row
from app.bff.refusals import kept, refusals
from app.bff.views.letters import DeadLetterDetail, DeadLetterEntry
from app.core.database import join_or_begin
from app.core.errors import InvalidError
from app.tds.api.views import CountView, CriteriaBody, FieldErrorView, GroupView
from app.tds.core.dead_letter_service import DeadLetterService
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.models import TDSDeadLetterQueue, TDSEntity

__all__ = ["LettersTooWideError", "add_letter_looks", "letter_detail"]

_TTL: Final = 60
_LIST: Final = TypeAdapter(list[DeadLetterEntry])
_LED_BY_INDEX: Final = frozenset({"entity_type", "source_entity_id"})
_RESOLVED: Final = {"false": False, "true": True, "all": None}


class LettersTooWideError(InvalidError):
    """Resolved letters are too many for this: only entity_type and source_entity_id can be looked for among them."""


class LetterQuery(CriteriaBody):
    """Which dead letters; open ones, if nothing else is asked."""

    resolved: Literal["false", "true", "all"] = Field(default="false", description="Open ones, if not given.")
    limit: Limit = 20
    cursor: Cursor | None = None

    def wanted(self) -> LetterCriteria:
        """The same for the service.

        Raises:
            LettersTooWideError: no index leads to what is asked.
        """
        asked = {name for name in CriteriaBody.model_fields if getattr(self, name) is not None}
        if self.resolved != "false" and asked - _LED_BY_INDEX:
            raise LettersTooWideError
        return replace(self.criteria(), resolved=_RESOLVED[self.resolved])


class GroupQuery(CriteriaBody):
    """Which open letters to group."""

    limit: Limit = 20


async def letter_detail(service: DeadLetterService, letter: TDSDeadLetterQueue) -> DeadLetterDetail:
    """A letter with what is wrong with its document, and its entity's local row."""
    problems = [] if letter.resolved else [FieldErrorView.model_validate(one) for one in service.validate(letter)]
    if letter.source_entity_id is None:
        return DeadLetterDetail.told(letter, problems, None)
    key = (letter.source, letter.entity_type, letter.source_entity_id)
    async with join_or_begin(service.db):
        ledger = await service.db.get(TDSEntity, key, populate_existing=True)
        local = await read_local_row(service.db, letter.entity_type, ledger.local_id if ledger is not None else None)
    return DeadLetterDetail.told(letter, problems, local)


def add_letter_looks(router: APIRouter, front: Front) -> None:
    """Routes that look at letters."""
    _add_list(router, front)
    _add_sums(router, front)

    @router.get("/dead-letter/{letter_id}", operation_id="getLetter", responses=refusals(404))
    async def get_letter(letter_id: UUID) -> DeadLetterDetail:
        """Everything about one: payload, errors, attempts, what is wrong with it, and the entity as it is here."""
        async with front.letters() as service:
            return await letter_detail(service, await service.get(letter_id))


def _add_list(router: APIRouter, front: Front) -> None:
    @router.get(
        "/dead-letter",
        operation_id="getDeadLetters",
        response_model=list[DeadLetterEntry],
        responses=kept(pages=True),
    )
    async def get_dead_letters(query: Annotated[LetterQuery, Query()], request: Request) -> Response:
        """Dead letters, newest first; open ones, if not asked otherwise. Kept for 60 seconds; actions show at once."""
        criteria = query.wanted()

        async def compute() -> View:
            async with front.letters() as service:
                found = await service.find(criteria, before=query.cursor, limit=query.limit + 1)
            page = cut(request, found, query.limit)
            return as_view(_LIST, [DeadLetterEntry.model_validate(one) for one in page.rows], page.link)

        return await front.cache.respond(request, ttl=_TTL, compute=compute)


def _add_sums(router: APIRouter, front: Front) -> None:
    @router.get("/dead-letter/count", operation_id="countLetters")
    async def count_letters(query: Annotated[CriteriaBody, Query()]) -> CountView:
        """How many open ones there are: the `expected_count` of a bulk action."""
        async with front.letters() as service:
            return CountView(count=await service.count(query.criteria()))

    @router.get("/dead-letter/groups", operation_id="groupLetters")
    async def group_letters(query: Annotated[GroupQuery, Query()]) -> list[GroupView]:
        """Open ones that failed in the same way together, the largest groups first."""
        async with front.letters() as service:
            groups = await service.groups(query.criteria(), limit=query.limit)
        return [GroupView.model_validate(one) for one in groups]
