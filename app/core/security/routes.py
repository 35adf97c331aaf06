"""``/api/auth``: sign in and out in a browser, see who one is, and keep the tokens. ``/openapi.json`` is here too."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from app.core.errors import ConflictError
from app.core.security.credentials import PLAIN_COOKIE, SECURE_COOKIE, is_secure, present
from app.core.security.errors import UnauthorizedError
from app.core.security.gate import Gate
from app.core.security.guard import (
    actor_of,
    address_of,
    csrf_token_of,
    guarded_router,
    needs,
    open_router,
    principal_of,
)
from app.core.security.openapi import refusals
from app.core.security.origin import acting_from
from app.core.security.principals import Role
from app.core.security.secrets import csrf_of, prefix_of
from app.core.security.sessions import BegunSession, Sessions
from app.core.security.tokens import Tokens, lifetime
from app.core.security.views import MadeTokenView, SessionView, SignInBody, TokenBody, TokenPage, TokenView
from app.core.telemetry import get_logger

__all__ = ["NoSessionError", "access_routers"]

_log = get_logger(__name__)
_PREFIX = "/api/auth"


class NoSessionError(ConflictError):
    """There is no session to end: you came with a token, which tds token revoke ends."""


def access_routers(app: FastAPI, gate: Gate) -> list[APIRouter]:
    """All routes of access, and the API's description, which viewers may read."""
    return [_sign_in_router(gate), _session_router(gate), _token_router(gate), _description_router(app, gate)]


def _sign_in_router(gate: Gate) -> APIRouter:
    router = open_router(prefix=_PREFIX, tags=["access"])

    @router.post("/session", operation_id="signIn", responses=refusals(401))
    async def sign_in(body: SignInBody, request: Request, response: Response) -> SessionView:
        """Begin a browser's session with an API token. The cookie is for browsers; its CSRF token for their scripts."""
        address, prefix = address_of(request), prefix_of(body.token)
        await gate.throttle.attempt(address, prefix)
        try:
            verified = await gate.verify_token(body.token)
        except UnauthorizedError:
            _log.warning("sign_in_refused", address=address, prefix=prefix)
            raise
        principal = verified.principal
        with acting_from(f"{address}, {principal.key}"):
            async with gate.database.transaction() as session:
                await gate.throttle.forgive(session, address, prefix)
                sessions = Sessions(session, gate.auth, gate.record)
                begun = await sessions.begin(body.token, principal=principal, address=address, until=verified.until)
        _set_cookie(request, response, begun)
        return SessionView(
            name=principal.name,
            role=principal.role,
            kind="session",
            csrf_token=csrf_of(begun.secret),
            expires_at=begun.expires_at,
        )

    return router


def _set_cookie(request: Request, response: Response, begun: BegunSession) -> None:
    secure = is_secure(request.scope)
    name = SECURE_COOKIE if secure else PLAIN_COOKIE
    response.set_cookie(
        name, begun.secret, expires=begun.expires_at, path="/", secure=secure, httponly=True, samesite="strict"
    )


def _session_router(gate: Gate) -> APIRouter:
    router = guarded_router(gate, prefix=_PREFIX, tags=["access"])

    @router.get("/session", operation_id="getSession")
    async def get_session(request: Request) -> SessionView:
        """Who you are here, and what you may."""
        one = principal_of(request)
        csrf = csrf_token_of(request) if one.kind == "session" else None
        return SessionView(name=one.name, role=one.role, kind=one.kind, csrf_token=csrf)

    @router.delete("/session", status_code=204, operation_id="signOut", responses=refusals(409), **needs(Role.VIEWER))
    async def sign_out(request: Request, response: Response) -> None:
        """End this browser's session, at once and everywhere."""
        if principal_of(request).kind != "session":
            raise NoSessionError
        secure = is_secure(request.scope)
        secret = present(request.scope["headers"], secure=secure).text
        async with gate.database.transaction() as session:
            await Sessions(session, gate.auth, gate.record).end(secret, actor=actor_of(request))
        name = SECURE_COOKIE if secure else PLAIN_COOKIE
        response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")

    return router


def _token_router(gate: Gate) -> APIRouter:
    router = guarded_router(gate, prefix=f"{_PREFIX}/tokens", tags=["access"])

    @router.get("", operation_id="listTokens", **needs(Role.ADMIN))
    async def list_tokens(
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[UUID | None, Query(description="The next_cursor of the page before.")] = None,
    ) -> TokenPage:
        """All tokens, newest first, revoked ones too."""
        async with gate.database.session() as session:
            found = await Tokens(session, gate.record).find(before=cursor, limit=limit + 1)
        items = [TokenView.of(one) for one in found[:limit]]
        return TokenPage(items=items, next_cursor=items[-1].id if len(found) > limit else None)

    @router.post("", status_code=201, operation_id="createToken", responses=refusals(409), **needs(Role.ADMIN))
    async def create_token(body: TokenBody, request: Request) -> MadeTokenView:
        """Make a token. Its text is told this once."""
        expires_in = lifetime(body.expires_in)
        async with gate.database.session() as session:
            tokens = Tokens(session, gate.record)
            made = await tokens.create(body.name, body.role, expires_in=expires_in, actor=actor_of(request))
        return MadeTokenView.of(made)

    @router.delete("/{token_id}", operation_id="revokeToken", responses=refusals(404, 409), **needs(Role.ADMIN))
    async def revoke_token(token_id: UUID, request: Request) -> TokenView:
        """End a token, and the sessions begun with it, at once and everywhere."""
        async with gate.database.session() as session:
            return TokenView.of(await Tokens(session, gate.record).revoke(token_id, actor=actor_of(request)))

    return router


def _description_router(app: FastAPI, gate: Gate) -> APIRouter:
    router = guarded_router(gate, prefix="")

    @router.get("/openapi.json", include_in_schema=False)
    async def describe() -> JSONResponse:
        """The API's description (OpenAPI 3.1)."""
        return JSONResponse(app.openapi())

    return router
