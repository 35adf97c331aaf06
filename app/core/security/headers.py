"""What every answer bears: the request's id, and what keeps browsers from doing harm with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count
from typing import Final
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["AnswerHeaders"]

REQUEST_ID: Final = b"x-request-id"
_PROCESS: Final = uuid4().hex[:16]
"""Ids are numbered within a process: to draw each at random would cost more than all the rest here."""
_NUMBERS: Final = count()
_SANE: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_SECURE: Final = (*_ALWAYS, (b"strict-transport-security", b"max-age=31536000"))


class AnswerHeaders:
    """ASGI middleware around everything else, error pages included. What an answer sets itself, it keeps."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, and complete its answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        wanted = ((REQUEST_ID, request_id.encode()), *(_SECURE if scope.get("scheme") == "https" else _ALWAYS))

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers") or ()
                names = {name for name, _ in given}
                message["headers"] = [*given, *[one for one in wanted if one[0] not in names]]
            await send(message)

        await self._app(scope, receive, complete)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's, if it is one word that cannot do any harm in a log; else a new one."""
    for name, value in headers:
        if name == REQUEST_ID and _SANE.fullmatch(value):
            return value.decode()
    return f"{_PROCESS}{next(_NUMBERS):016x}"
