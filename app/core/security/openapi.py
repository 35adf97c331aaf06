"""What the API's description says of access: who may, how to prove who one is, and what a refusal looks like."""

from __future__ import annotations

from typing import Any, Final

from app.core.security.credentials import SECURE_COOKIE
from app.core.security.principals import Role

__all__ = ["COMPONENTS", "OPEN", "PROBLEM", "refusals", "role_of", "secured"]

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "RFC 9457. Act on `type`, which is stable; show `detail`.",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:tds:problem:unauthorized"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "Finds it in the logs; the same as in `X-Request-Id`."},
        "errors": {"type": "array", "items": {"type": "object"}, "description": "What is wrong, by field."},
    },
}
COMPONENTS: Final[dict[str, dict[str, Any]]] = {
    "schemas": {"Problem": PROBLEM},
    "securitySchemes": {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token (`tds_...`), or a JWT of the company's identity provider.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": SECURE_COOKIE,
            "description": "A browser's session, from POST /api/auth/session. Whatever changes something needs the "
            "session's CSRF token in `X-CSRF-Token` as well.",
        },
    },
}
OPEN: Final = "nobody"
"""The role of a route that asks nobody who they are."""

_ROLE: Final = "x-role"
_MEANINGS: Final = {
    401: "Nobody known: a bearer token or a session is needed, and must be right.",
    403: "Your role does not allow this, or the CSRF token is missing.",
    404: "There is nothing of that id or name.",
    408: "The body did not arrive in time.",
    409: "It is in a state that does not allow this, or somebody was faster: look again.",
    413: "The body is too large.",
    422: "The request cannot be used as it is; `errors` names each field.",
    429: "Too many requests: wait for as many seconds as `Retry-After` says.",
    503: "The database does not answer; try again in a moment.",
}
_RETRY: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses for OpenAPI: problem documents."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        answers[status] = {"description": _MEANINGS[status], "content": content}
        if status in {429, 503}:
            answers[status] |= {"headers": _RETRY}
    return answers


def secured(role: Role | None) -> dict[str, Any]:
    """What an operation says of who may; None is everybody."""
    if role is None:
        return {_ROLE: OPEN, "security": []}
    return {_ROLE: role.value, "security": [{"bearer": []}, {"session": []}]}


def role_of(extra: dict[str, Any] | None) -> str | None:
    """The role that an operation says is needed."""
    return (extra or {}).get(_ROLE)
