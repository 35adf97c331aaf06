"""The fast lane: what is cached leaves before anything is routed, parsed or validated.

Who asks is checked all the same, against the same epochs: `Gate.recall` knows a credential only if it was verified in
the ACCESS epoch of this moment. Whatever is not plainly a hit goes the usual way, which answers, refuses and explains.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Receive, Scope, Send

from app.bff.cache import CachedAnswer, ViewCache
from app.core.errors import TdsError
from app.core.security.gate import Gate

__all__ = ["FastLane"]


class FastLane:
    """ASGI middleware before the application, for GET requests of ``paths``."""

    def __init__(self, app: ASGIApp, *, cache: ViewCache, gate: Gate, paths: Collection[str]) -> None:
        self._app = app
        self._cache = cache
        self._gate = gate
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a hit; hand on everything else."""
        if scope["type"] == "http" and scope["path"] in self._paths and scope["method"] == "GET":
            kept = await self._kept_for(scope)
            if kept is not None:
                status, headers, body = kept.answer(scope["headers"], found=True)
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)

    async def _kept_for(self, scope: Scope) -> CachedAnswer | None:
        try:
            epochs = await self._cache.epochs.current()
            principal = self._gate.recall(scope["headers"], epochs)
            if principal is None:
                return None
            kept = self._cache.peek(scope["path"], scope["query_string"], epochs)
            if kept is not None:
                self._gate.admit(principal)
        except (TdsError, SQLAlchemyError, OSError):  # the usual way tells what is wrong
            return None
        return kept
