"""What a request brings: its text must be text, its body must come whole, in time, and be of a size that fits."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.types import Message, Receive, Scope

from app.core.errors import InvalidError, TdsError

__all__ = ["BodyRefusedError", "SlowBodyError", "UnusableTextError", "refuse_odd_text", "with_body"]

LARGEST_BODY: Final = 2 * 1_048_576
BODY_SECONDS: Final = 30.0
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class BodyRefusedError(TdsError):
    """The body is larger than two megabytes, or does not say truly how large it is."""

    status = 413


class SlowBodyError(TdsError):
    """The body did not arrive within half a minute."""

    status = 408
    headers = {"Connection": "close"}  # noqa: RUF012 - never changed


class UnusableTextError(InvalidError):
    """The address holds a NUL character, or bytes that are no UTF-8."""

    code = "unusable-text"


def refuse_odd_text(scope: Scope) -> None:
    """Look at the address before anybody takes it for text.

    Raises:
        UnusableTextError: no database could be asked for it.
    """
    for raw in (scope.get("raw_path") or b"", scope["query_string"]):
        if b"%" not in raw and raw.isascii() and b"\0" not in raw:
            continue
        decoded = unquote_to_bytes(raw)
        try:
            decoded.decode("utf-8")
        except UnicodeDecodeError:
            raise UnusableTextError from None
        if b"\0" in decoded:
            raise UnusableTextError


async def with_body(request: Request, limit: int = LARGEST_BODY) -> Request:
    """The same request with its body read, and looked at where it is JSON.

    Raises:
        BodyRefusedError, SlowBodyError: it is too large, or too slow; nothing more of it is read.
        RequestValidationError: it is JSON that cannot be used.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(request, limit)
    except TimeoutError:
        raise SlowBodyError from None
    if "json" in request.headers.get("content-type", "").lower():
        _check_json(body)
    return Request(request.scope, _replayed(body, request.receive), request._send)  # noqa: SLF001 - Starlette's way to wrap one # pyright: ignore[reportPrivateUsage]


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdecimal()) or int(declared[:20]) > limit:
        raise BodyRefusedError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyRefusedError
    return bytes(body)


def _check_json(body: bytes) -> None:
    """A strict look: no lone surrogates, which could not be stored or answered, no NaN, no thousandfold nesting."""
    if not body:
        return
    if _NUL.search(body):
        raise _unusable(0, "a NUL character cannot be stored")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unusable(error.pos, error.msg) from None


def _unusable(position: int, message: str) -> RequestValidationError:
    error: dict[str, Any] = {"type": "json_invalid", "loc": ("body", position), "msg": f"is no JSON to use: {message}"}
    return RequestValidationError([error])


def _replayed(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
