"""The routes of the token endpoint; parameters in a form body or in the query."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.routing import Route

from app.sandbox.zoho.answers import json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from app.sandbox.zoho.tokens import TokenDesk

__all__ = ["oauth_routes"]


def oauth_routes(desk: TokenDesk) -> list[Route]:
    """Grant and revoke. Any method but POST is a bad request, as Zoho answers it."""

    async def token(request: Request) -> Response:
        if request.method != "POST":
            return json_response({"error": "invalid_request"}, 400)
        status, answer = desk.grant(await _parameters(request), str(request.base_url).rstrip("/"))
        return json_response(answer, status)

    async def revoke(request: Request) -> Response:
        status, answer = desk.revoke((await _parameters(request)).get("token", ""))
        return json_response(answer, status)

    return [
        Route("/oauth/v2/token", token, methods=["GET", "POST", "PUT", "DELETE"]),
        Route("/oauth/v2/token/revoke", revoke, methods=["POST"]),
    ]


async def _parameters(request: Request) -> dict[str, str]:
    body = (await request.body()).decode(errors="replace")
    return {**request.query_params, **dict(parse_qsl(body, keep_blank_values=True))}
