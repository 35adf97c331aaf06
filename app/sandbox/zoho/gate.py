"""The ASGI layer every API call passes: it counts, limits and spoils. The control API passes it by."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from app.sandbox.zoho.answers import error_response
from app.sandbox.zoho.contract import Calls, FaultRule
from app.sandbox.zoho.faults import SPOILING, FaultBook, answer_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.sandbox.zoho.limits import Budget

__all__ = ["CallCounter", "Gate"]

CONTROL_PREFIX: Final = "/_sandbox"
_ID: Final = re.compile(r"/[0-9]{9,}(?=/|$)")


@dataclass(slots=True)
class CallCounter:
    """Answers by path and status, and the most calls that were in process at one time."""

    total: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    by_path: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def enter(self) -> None:
        """A call begins."""
        self.total += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def leave(self, method: str, path: str, outcome: str) -> None:
        """A call ended so."""
        self.in_flight -= 1
        self.by_path[f"{method} {_ID.sub('/{id}', path)}"][outcome] += 1

    def reset(self) -> None:
        """Count from nothing."""
        self.total = 0
        self.peak_in_flight = self.in_flight
        self.by_path.clear()

    def report(self) -> Calls:
        """The counts as they are."""
        by_path = {path: dict(sorted(outcomes.items())) for path, outcomes in sorted(self.by_path.items())}
        return Calls(total=self.total, peak_in_flight=self.peak_in_flight, by_path=by_path)


class _Outgoing:
    """Remembers the status that was answered and adds headers to it."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self.outcome = "cut"
        self._send = send
        self._headers = headers

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.outcome = str(message["status"])
            MutableHeaders(scope=message).update(self._headers)
        await self._send(message)


class Gate:
    """Wraps the API."""

    def __init__(self, app: ASGIApp, budget: Budget, faults: FaultBook, calls: CallCounter) -> None:
        self._app = app
        self._budget = budget
        self._faults = faults
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(CONTROL_PREFIX):
            await self._app(scope, receive, send)
            return
        outcome = "cut"
        self._calls.enter()
        try:
            outcome = await self._admitted(scope, receive, send)
        finally:
            self._calls.leave(scope["method"], path, outcome)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> str:
        path: str = scope["path"]
        if path.startswith("/oauth"):
            return await self._served(scope, receive, _Outgoing(send, {}))
        refused = self._budget.admit()
        # The live API sends the quota on calls of an organisation only.
        outgoing = _Outgoing(send, {} if "/organizations" in path else self._budget.headers())
        if refused is not None:
            retry_after = self._budget.retry_after(refused)
            await error_response(refused, retry_after=retry_after)(scope, receive, outgoing)
            return outgoing.outcome
        self._budget.in_flight += 1
        try:
            return await self._served(scope, receive, outgoing)
        finally:
            self._budget.in_flight -= 1

    async def _served(self, scope: Scope, receive: Receive, outgoing: _Outgoing) -> str:
        delay, fault = self._faults.meet(scope["path"])
        if delay:
            await asyncio.sleep(delay)
        if fault is None:
            await self._app(scope, receive, outgoing)
        elif fault.kind in SPOILING:
            return await self._spoilt(fault, scope, receive, outgoing)
        else:
            await answer_of(fault)(scope, receive, outgoing)
        return outgoing.outcome

    async def _spoilt(self, fault: FaultRule, scope: Scope, receive: Receive, outgoing: _Outgoing) -> str:
        status, headers, body = await self._true_answer(scope, receive)
        part = body[: max(0, min(len(body) - 1, int(len(body) * fault.fraction)))]
        if fault.kind == "cut":
            await outgoing({"type": "http.response.start", "status": status, "headers": headers})
            await outgoing({"type": "http.response.body", "body": part, "more_body": True})
            return "cut"  # the server closes a connection whose answer was never finished
        if fault.kind == "truncated":
            answer = Response(part, status, media_type="application/json;charset=UTF-8")
        else:
            answer = Response(body, status, media_type="text/html;charset=UTF-8")
        await answer(scope, receive, outgoing)
        return outgoing.outcome

    async def _true_answer(self, scope: Scope, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        start, *rest = messages
        return start["status"], list(start["headers"]), b"".join(message.get("body", b"") for message in rest)
