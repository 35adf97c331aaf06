"""Routes behind the gate: who asks, and whether they may, is told before anything of a request is looked at.

In this order: credential, rate, role, CSRF, the address and its parameters, the body.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from enum import Enum
from typing import Any, Final, cast

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.core.errors import InvalidError
from app.core.security.body import refuse_odd_text, with_body
from app.core.security.credentials import is_secure, present
from app.core.security.errors import CsrfError, ForbiddenError
from app.core.security.gate import Gate
from app.core.security.openapi import OPEN, refusals, role_of, secured
from app.core.security.origin import acting_from
from app.core.security.principals import Principal, Role
from app.core.security.secrets import csrf_of, same

__all__ = [
    "CSRF_HEADER",
    "UnknownParameterError",
    "actor_of",
    "address_of",
    "csrf_token_of",
    "guarded_router",
    "needs",
    "open_router",
    "principal_of",
]

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

CSRF_HEADER: Final = "X-CSRF-Token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSALS: Final = refusals(401, 403, 422, 429, 503)
_OPEN_REFUSALS: Final = refusals(422, 429, 503)


class UnknownParameterError(InvalidError):
    """There is no such parameter here."""


class RoleError(ForbiddenError):
    """This needs a higher role than yours."""


def needs(role: Role) -> dict[str, Any]:
    """Keyword arguments of a route that wants another role than the default: ``@router.post("/x", **needs(...))``."""
    return {"openapi_extra": secured(role)}


def guarded_router(gate: Gate, *, prefix: str, tags: Sequence[str | Enum] = ()) -> APIRouter:
    """A router that lets in whom ``gate`` knows: viewers for GET, operators for the rest, or as ``needs`` says."""
    return APIRouter(prefix=prefix, tags=list(tags), route_class=_route_class(gate))


def open_router(*, prefix: str, tags: Sequence[str | Enum] = ()) -> APIRouter:
    """A router whose routes ask nobody who they are, and take as little as the guarded ones."""
    return APIRouter(prefix=prefix, tags=list(tags), route_class=_route_class(None))


def _route_class(gate: Gate | None) -> type[APIRoute]:
    class GuardedRoute(APIRoute):
        """Looks at a request before FastAPI reads it."""

        def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
            safe = set(cast("Iterable[str]", options.get("methods") or ())) <= _SAFE
            default = None if gate is None else Role.VIEWER if safe else Role.OPERATOR
            options["openapi_extra"] = {**secured(default), **(options.get("openapi_extra") or {})}
            known = _OPEN_REFUSALS if gate is None else _REFUSALS
            larger = {} if safe else refusals(408, 413)
            options["responses"] = {**known, **larger, **(options.get("responses") or {})}
            super().__init__(path, endpoint, **options)

        def get_route_handler(self) -> Handler:
            """The handler behind the guard."""
            handle = super().get_route_handler()
            role = role_of(self.openapi_extra)
            parameters = frozenset(_query_names(self.dependant))
            reads_body = self.body_field is not None

            async def guarded(request: Request) -> Response:
                origin = address_of(request)
                if gate is not None and role != OPEN:
                    origin = f"{origin}, {(await _enter(gate, request, Role(role))).key}"
                refuse_odd_text(request.scope)
                _refuse_unknown(request, parameters)
                ready = await with_body(request) if reads_body else request
                with acting_from(origin):
                    return await handle(ready)

            return guarded

    return GuardedRoute


async def _enter(gate: Gate, request: Request, role: Role) -> Principal:
    principal = await gate.identify(request)
    gate.admit(principal)
    if not principal.role.covers(role):
        raise RoleError(f"This needs the role {role.value}; yours is {principal.role.value}.")
    if principal.kind == "session" and request.method not in _SAFE:
        _check_csrf(request)
    request.state.principal = principal
    return principal


def _check_csrf(request: Request) -> None:
    given = request.headers.getlist(CSRF_HEADER)
    if len(given) != 1 or not same(given[0].encode("latin-1", "replace"), csrf_token_of(request).encode()):
        raise CsrfError


def csrf_token_of(request: Request) -> str:
    """The CSRF token of the browser session that sends this request; pages hand it to their scripts.

    Raises:
        UnauthorizedError: it is no session's.
    """
    return csrf_of(present(request.scope["headers"], secure=is_secure(request.scope)).text)


def _query_names(dependant: Dependant) -> Iterable[str]:
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (one.alias or name for name, one in kind.model_fields.items())
        else:
            yield field.alias
    for other in dependant.dependencies:
        yield from _query_names(other)


def _refuse_unknown(request: Request, known: frozenset[str]) -> None:
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        there_are = f"there is: {', '.join(sorted(known))}" if known else "there is none"
        raise UnknownParameterError(f"There is no parameter {unknown[0][:100]!r} here; {there_are}.")


def principal_of(request: Request) -> Principal:
    """Who sends this request, which a guarded route has let in."""
    return request.state.principal


def actor_of(request: Request) -> str:
    """The name that stands in the audit trail."""
    return principal_of(request).name


def address_of(request: Request) -> str:
    """From where it comes; behind a proxy, what a trusted one says."""
    return request.client.host if request.client is not None else "unknown"
