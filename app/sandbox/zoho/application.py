"""Puts the sandbox together as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from app.sandbox.zoho.answers import error_response, json_response, refusal
from app.sandbox.zoho.api import api_routes
from app.sandbox.zoho.control_routes import control_routes
from app.sandbox.zoho.gate import CONTROL_PREFIX, Gate
from app.sandbox.zoho.oauth import oauth_routes
from app.sandbox.zoho.state import ZohoSandbox

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from app.sandbox.zoho.config import SandboxConfig

__all__ = ["create_app"]


def create_app(config: SandboxConfig) -> Starlette:
    """A sandbox of its own; its state is ``app.state.sandbox``."""
    sandbox = ZohoSandbox(config)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        yield
        await sandbox.webhooks.aclose()

    app = Starlette(
        routes=[*oauth_routes(sandbox.tokens), *api_routes(sandbox), control_routes(sandbox)],
        middleware=[Middleware(Gate, budget=sandbox.budget, faults=sandbox.faults, calls=sandbox.calls)],
        exception_handlers={HTTPException: _unrouted},
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


async def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if request.url.path.startswith(CONTROL_PREFIX):
        return json_response({"error": "no such call"}, status)
    return error_response(refusal(37 if status == HTTPStatus.METHOD_NOT_ALLOWED else 5))
