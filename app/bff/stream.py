"""``GET /api/bff/tds/stream``: what happens, as it happens, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.bff.stream_client import EventFilter, StreamClient
from app.bff.stream_hub import StreamHub
from app.core.epochs import Epochs
from app.core.errors import InvalidError, TdsError
from app.core.security.gate import Gate
from app.core.security.guard import guarded_router, principal_of

__all__ = ["EventStreamResponse", "LastEventIdError", "stream_router"]

_PATTERN: Final = r"(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)"
_GREATEST: Final = 2**63 - 1
_REFUSED: Final = frozenset({401, 403})

_EXAMPLE: Final = """retry: 3000

id: 4711
event: tds.stream.open
data: {"position":4711}

id: 4712
event: tds.entity.update
data: {"event_id":"01997e5e-6f6e-7c11-9a57-1f1d5a0f3b10","event_type":"tds.entity.update","module":"tds", ...}

: heartbeat
"""

_MESSAGE: Final = {
    "type": "object",
    "description": "One message; `data` is JSON.",
    "required": ["id", "event", "data"],
    "properties": {"id": {"type": "string"}, "event": {"type": "string"}, "data": {"type": "string"}},
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Messages until the client goes, the access ends, or the server does.",
        "content": {"text/event-stream": {"schema": _MESSAGE, "example": _EXAMPLE}},
    },
}


class LastEventIdError(InvalidError):
    """Last-Event-ID is the number of the last message that you got, as this stream has sent it."""


class EventStreamResponse(Response):
    """Sends what the hub has for a client, and lets it go when it hangs up."""

    media_type = "text/event-stream"

    def __init__(self, hub: StreamHub, client: StreamClient, last: int | None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]  # nobody knows it
        self._hub = hub
        self._client = client
        self._last = last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until it is over."""
        del scope
        watching = asyncio.ensure_future(_hung_up(receive, self._client))
        ending = asyncio.get_running_loop().call_later(self._hub.settings.longest_seconds, self._client.end)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(self._hub.follow(self._client, self._last)) as chunks:
                await _send_all(chunks, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            ending.cancel()
            self._hub.leave(self._client)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def _send_all(chunks: AsyncGenerator[bytes], send: Send) -> None:
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _hung_up(receive: Receive, client: StreamClient) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.end()


def _position(given: str) -> int | None:
    if not given:
        return None
    if int(given) > _GREATEST:
        raise LastEventIdError
    return int(given)


def _checker(gate: Gate, request: Request) -> Callable[[Epochs], Awaitable[bool]]:
    """Whether who opened this stream may still read: for nothing while nobody's access has changed."""

    async def still_allowed(epochs: Epochs) -> bool:
        if gate.recall(request.scope["headers"], epochs) is not None:
            return True
        try:
            await gate.identify(request)
        except TdsError as error:
            return error.status not in _REFUSED
        return True

    return still_allowed


def _patterns(types: str | None) -> tuple[str, ...]:
    return tuple(sorted(set((types or "*").split(","))))


def stream_router(hub: StreamHub, gate: Gate, *, prefix: str) -> APIRouter:
    """The route; every role may read."""
    router = guarded_router(gate, prefix=prefix, tags=["events"])

    @router.get(
        "/stream",
        operation_id="streamEvents",
        response_class=EventStreamResponse,
        status_code=200,
        responses=_RESPONSES,
    )
    async def stream_events(
        request: Request,
        *,
        types: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=1_000,
                description="Patterns of event types, with commas between them.",
                examples=["tds.entity.*,tds.alert.*"],
                pattern=rf"^{_PATTERN}(,{_PATTERN}){{0,19}}$",
            ),
        ] = None,
        entity_type: Annotated[str | None, Query(min_length=1, max_length=100, examples=["product"])] = None,
        aggregate_id: Annotated[
            str | None, Query(min_length=1, max_length=200, description="The local id of what it happened to.")
        ] = None,
        last_event_id: Annotated[
            int | None, Query(ge=0, le=_GREATEST, description="As the header, for clients that cannot set one.")
        ] = None,
        last_event_id_header: Annotated[
            str,
            Header(
                alias="Last-Event-ID",
                pattern=r"^[0-9]{0,19}$",
                description="The id of the last message; go on after it.",
            ),
        ] = "",
    ) -> EventStreamResponse:
        """What happens in data sync, as it happens.

        Each message's ``id`` is its position in the event log, ``event`` its type, ``data`` the event as JSON in one
        line. The first message, ``tds.stream.open``, tells where the stream starts. Come again with the last id as
        ``Last-Event-ID`` and it goes on without loss or doubling, on any server of the installation. From too far back
        it does not: then ``tds.stream.reset`` names what to load anew, and the stream goes on from now.
        """
        last = _position(last_event_id_header)
        wanted = EventFilter(_patterns(types), entity_type, aggregate_id)
        client = hub.open(principal_of(request).key, wanted, _checker(gate, request))
        return EventStreamResponse(hub, client, last_event_id if last is None else last)

    return router
