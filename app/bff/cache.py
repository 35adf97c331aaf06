"""Cached views: serialized answers, kept for some seconds, dropped in every process by the action that changes them.

An answer is kept under the VIEWS epoch that was read before it was computed (`app.core.epochs`). An action raises the
epoch in its own transaction, so whoever asks afterwards looks under another key: neither a message nor the shared
cache has to arrive for that. In this process answers are kept in memory; where ``TDS_CACHE_URL`` names a Redis, other
processes find them there. A cache that is down costs a computation, nothing else.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeAlias

from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import Response

from app.bff.shelf import Shelf
from app.core.epochs import INSTALLATION, VIEWS, EpochReader, Epochs

__all__ = ["CachedAnswer", "View", "ViewCache"]

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]
Compute: TypeAlias = "Callable[[], Awaitable[View]]"

_WORTH_ZIPPING: Final = 500
_ENTRY_OVERHEAD: Final = 1_000


@dataclass(frozen=True, slots=True)
class View:
    """What an endpoint answers: JSON, and the value of its ``Link`` header, a reference without host."""

    body: bytes
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer:
    """A view ready to be sent, until ``expires_at`` (seconds since 1970)."""

    view: View
    expires_at: float
    etag: bytes = field(init=False)
    zipped: bytes | None = field(init=False)
    _shared: RawHeaders = field(init=False)

    def __post_init__(self) -> None:
        body = self.view.body
        etag = b'W/"' + blake2b(body, digest_size=12).hexdigest().encode() + b'"'
        shared = [
            (b"content-type", b"application/json"),
            (b"etag", etag),
            # What a phone keeps it must ask about: an action shows in the next read, and asking costs a 304.
            (b"cache-control", b"private, no-cache"),
            (b"vary", b"Accept-Encoding, Authorization, Cookie"),
        ]
        if self.view.link is not None:
            shared.append((b"link", self.view.link.encode("latin-1")))
        zipped = gzip.compress(body, 6, mtime=0) if len(body) >= _WORTH_ZIPPING else None
        for name, value in (("etag", etag), ("zipped", zipped), ("_shared", shared)):
            object.__setattr__(self, name, value)

    def answer(self, headers: RawHeaders, *, found: bool) -> tuple[int, RawHeaders, bytes]:
        """Status, headers and body for a request with these headers: 304 where the caller has this view already."""
        zips = unchanged = False
        for name, value in headers:
            if name == b"accept-encoding":
                zips = _accepts_gzip(value)
            elif name == b"if-none-match":
                unchanged = self.etag in value or value.strip() == b"*"
        told = [*self._shared, (b"x-cache", b"HIT" if found else b"MISS")]
        if unchanged:
            return 304, told, b""
        body = self.view.body
        if zips and self.zipped is not None:
            body = self.zipped
            told.append((b"content-encoding", b"gzip"))
        told.append((b"content-length", str(len(body)).encode()))
        return 200, told, body


def _accepts_gzip(value: bytes) -> bool:
    if b"gzip" not in value:
        return False
    quality = value.partition(b"gzip")[2].partition(b",")[0].replace(b" ", b"")
    return quality not in (b";q=0", b";q=0.0", b";q=0.00", b";q=0.000")


def key_of(path: str, query: bytes, epochs: Epochs) -> str:
    """Where an answer is kept."""
    return f"{epochs[INSTALLATION]}:{epochs.get(VIEWS, 0)}:{path}?{query.decode('latin-1')}"


class ViewCache:
    """Answers by path and query. One computation at a time for each, however many ask for it."""

    def __init__(self, epochs: EpochReader, shelf: Shelf | None = None, *, megabytes: int = 32) -> None:
        self.epochs = epochs
        self.computations = 0
        self._shelf = shelf
        self._kept: LRUCache[str, CachedAnswer] = LRUCache(megabytes * 1_048_576, getsizeof=_size)
        self._flights: dict[str, asyncio.Task[CachedAnswer]] = {}

    def peek(self, path: str, query: bytes, epochs: Epochs) -> CachedAnswer | None:
        """The answer kept in this process, if it is still good."""
        kept = self._kept.get(key_of(path, query, epochs))
        return kept if kept is not None and kept.expires_at > time.time() else None

    async def respond(self, request: Request, *, ttl: int, compute: Compute) -> Response:
        """Answer from the cache, or compute once for all who ask now, and keep the answer for ``ttl`` seconds.

        Call it where the request has been checked: what is refused must not be kept.
        """
        epochs = await self.epochs.current()
        path, query = request.url.path, request.scope["query_string"]
        kept = self.peek(path, query, epochs)
        answer = kept or await self._fly(key_of(path, query, epochs), ttl, compute)
        status, headers, body = answer.answer(request.scope["headers"], found=kept is not None)
        response = Response(body, status)
        response.raw_headers = headers
        return response

    async def _fly(self, key: str, ttl: int, compute: Compute) -> CachedAnswer:
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._make(key, ttl, compute))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)  # a caller who hangs up must not take the others' answer along

    def _landed(self, key: str, done: asyncio.Task[CachedAnswer]) -> None:
        del self._flights[key]
        if not done.cancelled():
            done.exception()  # seen, even where every caller has hung up

    async def _make(self, key: str, ttl: int, compute: Compute) -> CachedAnswer:
        if self._shelf is None:
            answer = await self._compute(ttl, compute)
        else:
            shelf, found = self._shelf, await self._shelf.get_or_claim(key)
            if found is not None:
                answer = CachedAnswer(view=View(found.body, found.link), expires_at=found.expires_at)
            else:
                answer = await self._compute(ttl, compute)
                await shelf.put(key, answer.view.body, answer.view.link, expires_at=answer.expires_at)
        if _size(answer) <= self._kept.maxsize:
            self._kept[key] = answer
        return answer

    async def _compute(self, ttl: int, compute: Compute) -> CachedAnswer:
        self.computations += 1
        begun = time.time()
        return CachedAnswer(view=await compute(), expires_at=begun + ttl)


def _size(answer: CachedAnswer) -> int:
    return len(answer.view.body) + len(answer.zipped or b"") + _ENTRY_OVERHEAD
