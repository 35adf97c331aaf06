"""What the administration's routes are given, and how its lists page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import Query, Request, Response

from app.core.database import Database
from app.core.doorbell import Doorbell
from app.tds.core.apply import Applier
from app.tds.core.ports import Source

__all__ = ["Cursor", "Desk", "Limit", "link_next"]

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[UUID | None, Query(description="The next_cursor of the page before.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a person's orders need."""

    database: Database
    doorbell: Doorbell
    sources: Mapping[str, Source]
    applier: Applier


class _Identified(Protocol):
    @property
    def id(self) -> UUID:
        """What the list is ordered by."""
        ...


def link_next(request: Request, response: Response, items: Sequence[_Identified], *, more: bool) -> UUID | None:
    """The cursor of the next page, if there is one; its address goes into the ``Link`` header (RFC 8288)."""
    if not more:
        return None
    cursor = items[-1].id
    response.headers["Link"] = f'<{request.url.include_query_params(cursor=str(cursor))}>; rel="next"'
    return cursor
