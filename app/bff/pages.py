"""Pages of lists: how many, from where on, and where the next one begins.

A cursor is the id of the last entry seen. Ids are UUIDv7, so what is added later never moves what is on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

__all__ = ["Cursor", "Limit", "Page", "PageQuery", "Word", "cut"]

_VERSION: Final = 7
_CURSOR: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class Identified(Protocol):
    """Whatever a list holds."""

    @property
    def id(self) -> Any:
        """What the list is ordered by: a UUIDv7."""
        ...


T = TypeVar("T", bound=Identified)


def _version_7(given: UUID) -> UUID:
    if given.version != _VERSION:
        raise ValueError("is no cursor: take it from the Link header of the page before")
    return given


Limit: TypeAlias = Annotated[int, Field(ge=1, le=200, description="How many entries at most.")]
Cursor: TypeAlias = Annotated[
    UUID,
    AfterValidator(_version_7),
    Field(description="From the `Link` header of the page before."),
    WithJsonSchema({"type": "string", "pattern": _CURSOR}),
]
Word: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


class PageQuery(BaseModel):
    """What every list takes; an unknown parameter is refused: a filter that is misspelt must not show everything."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = 20
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page's rows, and the ``Link`` header to the next one."""

    rows: Sequence[T]
    link: str | None


def cut(request: Request, found: Sequence[T], limit: int) -> Page[T]:
    """The page of a list that was read one entry further than the page goes."""
    if len(found) <= limit:
        return Page(found, None)
    rows = found[:limit]
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    query = urlencode([*kept, ("cursor", str(rows[-1].id))])
    return Page(rows, f'<{quote(request.url.path)}?{query}>; rel="next"')
