"""The access matrix: the documented table is the application's, and each route lets in exactly whom it names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import pytest
from fastapi import FastAPI
from starlette.types import Message

from app.bootstrap import Runtime
from app.core.database import Database
from app.core.security.application import route_roles
from app.core.security.principals import Role
from app.core.security.secrets import new_token
from tests.integration.access.conftest import STATIC
from tests.support.access import bearer, make_token, revoke_token
from tools.access_table import documented

pytestmark = pytest.mark.integration

OPEN: Final = {
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("POST", "/api/tds/webhooks/{source}"),
    ("POST", "/api/auth/session"),
}
NOBODY_ID: Final = "00000000-0000-7000-8000-000000000000"
PARTS: Final = {"source": "zoho", "entity_type": "product"}
CALLERS: Final[Mapping[str, Role | None]] = {
    "nobody": None,
    "viewer": Role.VIEWER,
    "operator": Role.OPERATOR,
    "admin": Role.ADMIN,
    "static": Role.ADMIN,
    "expired": None,
    "revoked": None,
    "foreign": None,
}


async def headers_of(caller: str, database: Database) -> dict[str, str]:
    """What such a caller sends."""
    if caller == "nobody":
        return {}
    if caller == "static":
        return bearer(STATIC)
    if caller == "foreign":
        return bearer(new_token().text)
    past = timedelta(seconds=-1) if caller == "expired" else None
    made = await make_token(database, CALLERS[caller] or Role.ADMIN, name=caller, expires_in=past)
    if caller == "revoked":
        await revoke_token(database, made)
    return bearer(made)


async def status_of(app: FastAPI, method: str, path: str, headers: Mapping[str, str]) -> int:
    """The status of an answer. One that would go on for ever is left after its head."""
    url = re.sub(r"\{(\w+)\}", lambda found: PARTS.get(found[1], NOBODY_ID), path)
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asked = asyncio.Event()

    async def receive() -> Message:
        if not asked.is_set():
            asked.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await begun
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            begun.set_result(message["status"])

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": url,
        "raw_path": url.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in {**headers, "Host": "localhost"}.items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    task = asyncio.ensure_future(app(scope, receive, send))
    await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
    if not begun.done():
        await task  # raises what has gone wrong
    await asyncio.wait({task}, timeout=5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return await begun


def test_access_matrix_is_documented(app: FastAPI) -> None:
    """``docs/access.md`` lists every route of the application, once, with its role: see tools/access_table.py."""
    assert sorted(documented()) == sorted(route_roles(app))


def test_access_matrix_opens_nothing_else(app: FastAPI) -> None:
    """What asks nobody who they are is written down here as well: a new open route is no oversight."""
    assert {(method, path) for method, path, role in route_roles(app) if role == "nobody"} == OPEN


@pytest.mark.parametrize("caller", CALLERS)
async def test_access_matrix_holds(app: FastAPI, runtime: Runtime, database: Database, caller: str) -> None:
    """Every route, called as somebody: 401 without a good credential, 403 without the role, else neither; never 5xx."""
    headers, mine, wrong = await headers_of(caller, database), CALLERS[caller], list[str]()
    for method, path, role in documented():
        status = await status_of(app, method, path, headers)
        if role == "nobody":
            fits = status < 500
        elif mine is None:
            fits = status == 401
        elif mine.covers(Role(role)):
            fits = status < 500 and status not in {401, 403}
        else:
            fits = status == 403
        if not fits:
            wrong.append(f"{method} {path} ({role}): {status}")
    await runtime.settle()
    assert wrong == []
