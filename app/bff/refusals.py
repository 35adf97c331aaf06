"""What the API's description says of a route's refusals, and of the headers of its answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

__all__ = ["kept", "linked_page", "refusals"]

_MEANINGS: Final = {
    404: "There is nothing of that id or name.",
    409: "It is in a state that does not allow this, or somebody was faster: look again.",
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_TEXT: Final = {"type": "string"}
_LINK: Final = {"Link": {"description": 'The next page, `rel="next"`; not on the last one.', "schema": _TEXT}}
_KEPT: Final = {
    "ETag": {"description": "Send it back as `If-None-Match`.", "schema": _TEXT},
    "X-Cache": {"description": "HIT or MISS.", "schema": {**_TEXT, "enum": ["HIT", "MISS"]}},
    "Cache-Control": {"description": "Keep it, and ask each time: 304 costs next to nothing.", "schema": _TEXT},
}

Responses = dict[int | str, dict[str, Any]]


def refusals(*statuses: int) -> Responses:
    """Refusals besides those that every guarded route has, as problem documents."""
    return {status: {"description": _meaning(status), "content": _PROBLEM} for status in statuses}


def _meaning(status: int) -> str:
    return _MEANINGS.get(status) or HTTPStatus(status).phrase


def linked_page(*statuses: int) -> Responses:
    """The same for a list that pages."""
    return {**refusals(*statuses), 200: {"headers": _LINK}}


def kept(*, pages: bool = False) -> Responses:
    """An answer from the cache, and 304 for whoever has it already; ``pages`` if it is a list that pages."""
    return {
        200: {"headers": {**(_LINK if pages else {}), **_KEPT}},
        304: {"description": "Nothing has changed since the `ETag` that was sent."},
    }
