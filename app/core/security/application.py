"""The web application with what holds for all of it: headers, CORS, and no page that loads from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.security.headers import AnswerHeaders
from app.core.security.openapi import COMPONENTS, OPEN, role_of

__all__ = ["GuardedApplication", "route_roles"]

_ASKED: Final = ("Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", "X-CSRF-Token", "X-Request-Id")
_TOLD: Final = ("ETag", "Link", "Retry-After", "X-Cache", "X-Request-Id")


class GuardedApplication(FastAPI):
    """FastAPI without its documentation pages, which load from elsewhere. ``/openapi.json`` is a route like others.

    ``cors_origins`` may call it from their pages, with bearer tokens; cookies stay at home. ``lane`` is what may answer
    before anything is routed; it checks for itself who asks.
    """

    def __init__(
        self, *, cors_origins: Sequence[str] = (), lane: Callable[[ASGIApp], ASGIApp] | None = None, **options: Any
    ) -> None:
        super().__init__(docs_url=None, redoc_url=None, openapi_url=None, **options)
        inner: ASGIApp = super().__call__
        if lane is not None:
            inner = lane(inner)
        if cors_origins:
            inner = CORSMiddleware(
                inner,
                allow_origins=cors_origins,
                allow_methods=("DELETE", "GET", "PATCH", "POST", "PUT"),
                allow_headers=_ASKED,
                expose_headers=_TOLD,
            )
        self._outside = AnswerHeaders(inner)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """All of FastAPI inside: an answer to a crash bears the same headers, and the lane saves it all."""
        await self._outside(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The API's description, with who may do what."""
        if self.openapi_schema is None:
            described = super().openapi()
            components = described.setdefault("components", {})
            for kind, named in COMPONENTS.items():
                components[kind] = {**components.get(kind, {}), **named}
        return self.openapi_schema or {}


def route_roles(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Method, path and role of every route, as they are looked at, in this order."""
    for one in iter_route_contexts(app.routes):
        route = one.original_route
        path = one.path or getattr(route, "path", "")
        methods = one.methods or getattr(route, "methods", None) or {"*"}
        role = role_of(route.openapi_extra) if isinstance(route, APIRoute) else None
        for method in sorted(methods):
            yield method, path, role or OPEN
