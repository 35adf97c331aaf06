"""A Zoho of scripted answers behind httpx2's own test transport, and what else the tests are made with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from pydantic import AnyHttpUrl, SecretStr

from app.core.config import ZohoSettings
from app.tds.core.ports import StoredEvent
from app.tds.types import OperationType

__all__ = ["ANSWERED", "SECRETS", "Peer", "StillClock", "answer", "event", "settings", "token"]

SECRETS = ("1000.client-secret", "1000.refresh", "webhook5secret")
ANSWERED = {"code": 0, "message": "success"}

Scripted = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


class StillClock:
    """A moment that changes only when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The moment."""
        return self.now

    def move(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)


def answer(body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    """An answer of the API: JSON values, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(ANSWERED if body is None else body).encode()
    return httpx2.Response(status, content=content, headers=headers)


def token(value: str = "1000.access", **more: Any) -> httpx2.Response:
    """A good answer of the token endpoint."""
    return answer({"access_token": value, "expires_in": 3600, "token_type": "Bearer", **more})


class Peer:
    """Answers token requests and API requests each from their own script; the last of a script is repeated."""

    def __init__(self) -> None:
        self.tokens: list[Scripted] = [token()]
        self.api: list[Scripted] = [answer()]
        self.token_requests: list[httpx2.Request] = []
        self.api_requests: list[httpx2.Request] = []

    def client(self) -> httpx2.AsyncClient:
        """A client that reaches this peer whatever host it asks."""
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._handle))

    @property
    def queries(self) -> list[dict[str, str]]:
        """The query of every API request."""
        return [dict(request.url.params) for request in self.api_requests]

    async def _handle(self, request: httpx2.Request) -> httpx2.Response:
        of_token = request.url.path == "/oauth/v2/token"
        (self.token_requests if of_token else self.api_requests).append(request)
        script = self.tokens if of_token else self.api
        scripted = script.pop(0) if len(script) > 1 else script[0]
        await asyncio.sleep(0)  # as on a wire, others run before the answer is there
        if isinstance(scripted, Exception):
            raise scripted
        if isinstance(scripted, httpx2.Response):
            return httpx2.Response(scripted.status_code, content=scripted.content, headers=scripted.headers)
        return scripted(request)


def settings(**changes: Any) -> ZohoSettings:
    """A connection with all it needs."""
    values: dict[str, Any] = {
        "accounts_url": AnyHttpUrl("https://accounts.zoho.eu"),
        "api_url": AnyHttpUrl("https://www.zohoapis.eu"),
        "organization_id": "748812345",
        "client_id": "1000.CLIENT",
        "client_secret": SecretStr(SECRETS[0]),
        "refresh_token": SecretStr(SECRETS[1]),
        "webhook_secret": SecretStr(SECRETS[2]),
    }
    return ZohoSettings(**(values | changes))


def event(
    body: Any,
    *,
    entity_type: str | None = None,
    source_entity_id: str | None = None,
    operation: OperationType | None = None,
    content_type: str = "application/json;charset=UTF-8",
) -> StoredEvent:
    """An inbox row of JSON values, or of bytes as they are."""
    return StoredEvent(
        body=body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode(),
        headers={"content-type": content_type},
        entity_type=entity_type,
        source_entity_id=source_entity_id,
        operation=operation,
    )
