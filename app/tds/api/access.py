"""Who may steer TDS over HTTP: whoever holds the admin token. Without one these routes are closed."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from app.core.errors import TdsError
from app.core.problems import problem
from app.tds.core.errors import MappingError

__all__ = ["ACTOR", "BEARER", "AdministrationClosedError", "BodyRefusedError", "actor_of", "guarded_router"]

BEARER: Final = HTTPBearer(auto_error=False, scheme_name="admin", description="TDS_SERVER_ADMIN_TOKEN")
"""What the API's description says of the token; `guarded_router` checks it before anything is read."""
ACTOR: Final = "X-Actor"
_LONGEST_ACTOR: Final = 100
_LARGEST_BODY: Final = 2 * 1_048_576

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class AdministrationClosedError(TdsError):
    """Administration is closed: set TDS_SERVER_ADMIN_TOKEN."""

    status = 403


class BodyRefusedError(TdsError):
    """The body is larger than two megabytes, or does not say how large it is."""

    status = 413


def guarded_router(token: SecretStr | None, *, prefix: str) -> APIRouter:
    """A router whose routes want the token, and look at nothing of a request before they have seen it."""

    class GuardedRoute(APIRoute):
        """Checks the token, then the body's size, and only then lets FastAPI read."""

        def get_route_handler(self) -> Handler:
            """The handler behind the guard."""
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                _check_token(request, token)
                _check_body(request)
                try:
                    return await handle(request)
                except MappingError as error:
                    errors = [one.as_dict() for one in error.errors]
                    return problem(request, error.status, error.code, error.message, errors=errors)

            return guarded

    return APIRouter(prefix=prefix, route_class=GuardedRoute)


def _check_token(request: Request, token: SecretStr | None) -> None:
    if token is None:
        raise AdministrationClosedError
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    wanted = token.get_secret_value().encode()
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1", "replace"), wanted):
        raise HTTPException(401, "A bearer token is needed, and must be right.", {"WWW-Authenticate": "Bearer"})


def _check_body(request: Request) -> None:
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > _LARGEST_BODY:
        raise BodyRefusedError


def actor_of(request: Request) -> str:
    """Who acts, by the caller's own word (``X-Actor``), printable and at most 100 characters; else ``admin``."""
    given = request.headers.get(ACTOR, "").encode("latin-1", "replace").decode("utf-8", "replace")
    cleaned = " ".join("".join(one if one.isprintable() else " " for one in given).split())
    return cleaned[:_LONGEST_ACTOR] or "admin"
