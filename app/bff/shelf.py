"""The shelf that processes share: a Redis, which may be slow, full of somebody else's things, or gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.core.telemetry import get_logger

__all__ = ["Shelf", "Shelved"]

_log = get_logger(__name__)
T = TypeVar("T")

_PATIENCE_SECONDS: Final = 0.25
_LEFT_ALONE_SECONDS: Final = 5.0
_CLAIM_SECONDS: Final = 5.0
_LOOKS: Final = 40
_LOOK_SECONDS: Final = 0.025


@dataclass(frozen=True, slots=True)
class Shelved:
    """An answer that some process has put there."""

    body: bytes
    link: str | None
    expires_at: float


class Shelf:
    """Answers of all processes that name the same Redis and ``prefix``.

    Every call ends within a quarter of a second. After one that failed, the shelf is left alone for five seconds.
    """

    def __init__(self, url: str, *, prefix: str) -> None:
        self._redis: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            socket_timeout=_PATIENCE_SECONDS,
            socket_connect_timeout=_PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = prefix
        self._alone_until = 0.0

    async def get_or_claim(self, key: str) -> Shelved | None:
        """The answer, also one that another process is computing right now; None: compute it, and ``put`` it."""
        for _ in range(_LOOKS):
            found = await self._get(key)
            if found is not None:
                return found
            claimed = await self._try(
                self._redis.set(self._prefix + key + "!", b"", nx=True, px=int(_CLAIM_SECONDS * 1000))
            )
            if claimed or self._is_left_alone:
                return None
            await asyncio.sleep(_LOOK_SECONDS)
        return None

    async def _get(self, key: str) -> Shelved | None:
        raw = await self._try(self._redis.get(self._prefix + key))
        if not isinstance(raw, bytes):
            return None
        head, newline, body = raw.partition(b"\n")
        try:
            told = orjson.loads(head)
            found = Shelved(body, told["link"], float(told["expires_at"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return None
        return found if newline and found.expires_at > time.time() else None

    async def put(self, key: str, body: bytes, link: str | None, *, expires_at: float) -> None:
        """Keep an answer for the others."""
        left = int((expires_at - time.time()) * 1000)
        if left > 0:
            head = orjson.dumps({"link": link, "expires_at": expires_at})
            await self._try(self._redis.set(self._prefix + key, head + b"\n" + body, px=left))

    @property
    def _is_left_alone(self) -> bool:
        return time.monotonic() < self._alone_until

    async def _try(self, call: Awaitable[T]) -> T | None:
        if self._is_left_alone:
            if asyncio.iscoroutine(call):
                call.close()
            return None
        try:
            async with asyncio.timeout(2 * _PATIENCE_SECONDS):
                return await call
        except (RedisError, OSError, TimeoutError) as error:
            self._alone_until = time.monotonic() + _LEFT_ALONE_SECONDS
            _log.warning("shared_cache_down", error=str(error))
            return None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
