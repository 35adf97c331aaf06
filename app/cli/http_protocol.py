"""HTTP as uvicorn reads it, with the limits that it lacks: sizes of the head, and time for everything.

A client that dribbles, or does not read its answer, holds a connection and a little memory, and neither for long.
Whatever is refused here is told by a problem document, as the application tells it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias
from uuid import uuid4

import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

__all__ = ["BoundedHttpProtocol", "HttpLimits", "Refusal"]

_Phase: TypeAlias = Literal["between", "head", "body"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one connection may take; sizes in bytes, times in seconds."""

    target: int = 32_768
    head: int = 65_536
    headers: int = 100
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    stalled_seconds: float = 20.0
    lingering_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that the application never hears of."""

    status: HTTPStatus
    code: str
    detail: str

    def answer(self) -> bytes:
        """The whole response; the connection is closed after it."""
        request_id = uuid4().hex
        body = orjson.dumps(
            {
                "type": f"urn:tds:problem:{self.code}",
                "title": self.status.phrase,
                "status": self.status.value,
                "detail": self.detail,
                "request_id": request_id,
            }
        )
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {request_id}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
            "connection: close\r\n\r\n"
        )
        return head.encode() + body


_MALFORMED: Final = Refusal(HTTPStatus.BAD_REQUEST, "malformed-request", "This is not a request as HTTP/1.1 has them.")
_LONG_TARGET: Final = Refusal(
    HTTPStatus.REQUEST_URI_TOO_LONG, "target-too-long", "The path and its query are too long."
)
_LARGE_HEAD: Final = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "The headers are too large, or too many."
)
_SLOW: Final = Refusal(HTTPStatus.REQUEST_TIMEOUT, "request-too-slow", "The request did not arrive in time.")


class _RefusedError(Exception):
    """Ends the parser's run; never seen outside."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    limits = HttpLimits()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._phase: _Phase = "between"
        self._requests = 0
        self._head_bytes = 0
        self._header_bytes = 0
        self._timed: tuple[_Phase, int] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._refusal: Refusal | None = None
        self._refused = False

    # ------------------------------------------------------------------------------------------------ the connection

    def connection_made(self, transport: asyncio.Transport) -> None:
        """From now on the first request is waited for."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._unwatch()
        if self._stall is not None:
            self._stall.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and see whether what has begun may go on."""
        if self._refused:
            return
        if self._phase != "body":
            self._head_bytes += len(data)
        super().data_received(data)
        if self._refused:
            return
        if self._phase == "head" and self._head_bytes > self.limits.head:
            self._refuse(_LARGE_HEAD)
        else:
            self._watch()

    def eof_received(self) -> None:
        """After a refusal, the client has read it."""
        if self._refused:
            self.transport.close()

    def shutdown(self) -> None:
        """The server ends: who does not read keeps it for a second only."""
        super().shutdown()
        if self.flow.write_paused:
            self._stalled_after(min(1.0, self.limits.stalled_seconds))

    # ------------------------------------------------------------------------------------------------- parser's calls

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._phase = "head"
        self._header_bytes = 0
        self._requests += 1

    def on_url(self, url: bytes) -> None:
        """Its target, or a piece of it."""
        super().on_url(url)
        if len(self.url) > self.limits.target:
            self._stop_parsing(_LONG_TARGET)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if len(self.headers) > self.limits.headers or self._header_bytes > self.limits.head:
            self._stop_parsing(_LARGE_HEAD)

    def on_headers_complete(self) -> None:
        """The application takes it from here."""
        self._phase = "body"
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it has arrived."""
        self._phase = "between"
        super().on_message_complete()

    # ------------------------------------------------------------------------------------------------------- refusals

    def _stop_parsing(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise _RefusedError

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed, or was stopped."""
        del msg
        self._refuse(self._refusal or _MALFORMED)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer and close, unless an answer is under way: then close only.

        What was sent and not read would make the kernel reset the connection, and the answer might get lost: so the
        rest is read and forgotten for a moment.
        """
        self._refused = True
        self._unwatch()
        if self.transport.is_closing():
            return
        cycle = self._in_progress()
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.flow.resume_reading()
        if cycle is not None and cycle.response_started:
            self.transport.abort()
            return
        self.transport.write(refusal.answer())
        self.transport.write_eof()
        self.loop.call_later(self.limits.lingering_seconds, self.transport.abort)

    # ------------------------------------------------------------------------------------------------------ deadlines

    def _watch(self) -> None:
        """Have a deadline while the client is to send something, and the same one for as long as it is the same."""
        if self._phase == "between" and self._in_progress() is not None:
            self._unwatch()  # it is our turn
            return
        awaited = (self._phase, self._requests)
        if awaited != self._timed:
            self._unwatch()
            self._timed = awaited
            seconds = self.limits.body_seconds if self._phase == "body" else self.limits.head_seconds
            self._deadline = self.loop.call_later(seconds, self._too_slow)

    def _unwatch(self) -> None:
        self._timed = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        asked = self._phase == "head" or (self._phase == "body" and self._in_progress() is not None)
        if asked:
            self._refuse(_SLOW)
        else:
            self.transport.close()

    def _in_progress(self) -> RequestResponseCycle | None:
        """The request that the application has and has not answered; uvicorn has none before the first."""
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle  # pyright: ignore[reportUnnecessaryComparison] - see above

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        super().pause_writing()
        self._stalled_after(self.limits.stalled_seconds)

    def resume_writing(self) -> None:
        """It has read on."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _stalled_after(self, seconds: float) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._stall = self.loop.call_later(seconds, self.transport.abort)
