"""What pages and phones look at, asked of a real server process, computed anew every time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.epochs import VIEWS
from app.core.errors import TdsError
from app.core.security.principals import Role
from app.core.security.recording import AccessChange
from app.core.security.tokens import Tokens
from benchmarks.load import get
from benchmarks.server import opened

__all__ = ["DASHBOARD", "ENDPOINTS", "UNLIMITED", "Answer", "Viewer", "WrongAnswerError", "make_token", "viewing"]

DASHBOARD: Final = "/api/bff/tds/dashboard"
ENDPOINTS: Final = tuple(f"/api/bff/tds/{name}" for name in ("dashboard", "runs", "entities", "alerts", "dead-letter"))
UNLIMITED: Final = {"TDS_SERVER_RATE_PER_MINUTE": "100000000", "TDS_SERVER_RATE_BURST": "100000000"}
"""A benchmark asks more of a server than one token may."""
_IDLE_SECONDS: Final = 1.0
_WARM_UP: Final = 10
_RAISE: Final = """
    INSERT INTO epochs AS known (name, epoch) VALUES ($1, 1)
    ON CONFLICT (name) DO UPDATE SET epoch = known.epoch + 1
"""


class WrongAnswerError(TdsError):
    """An endpoint does not answer as this benchmark needs it to; the message says what came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers with lower-case names, body, and the seconds from the question to the last byte."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


async def make_token(url: str) -> str:
    """The text of a new admin token in this database."""

    async def untold(session: AsyncSession, change: AccessChange, /) -> None:
        """A benchmark's database has no reader of its audit trail."""

    async with opened(url) as database, database.session() as session:
        made = await Tokens(session, untold).create("benchmark", Role.ADMIN, expires_in=None, actor="benchmark")
        return made.secret.text


class Viewer:
    """One person: a token and a kept connection; and a database connection, to make all cached answers stale."""

    def __init__(self, host: str, port: int, token: str, connection: asyncpg.Connection[Any]) -> None:
        self._host = host
        self._port = port
        self._token = token
        self._connection = connection
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    def request(self, path: str, **headers: str) -> bytes:
        """A request as bytes."""
        return get(path, self._host, authorization=f"Bearer {self._token}", **headers)

    async def ask(self, path: str, **headers: str) -> Answer:
        """Ask, and wait for the whole answer; connecting does not count.

        Raises:
            WrongAnswerError: the server hangs up.
        """
        reader, writer = await self._connected()
        began = time.perf_counter()
        try:
            writer.write(self.request(path, **headers))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            told = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(told.get("content-length", "0")))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WrongAnswerError(f"the server hung up instead of answering {path}: {error}") from error
        self._used = time.perf_counter()
        return Answer(int(head[0].split()[1]), told, body, self._used - began)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The kept connection, or a new one: a server closes what was idle for some seconds."""
        if self._streams is None or time.perf_counter() - self._used > _IDLE_SECONDS:
            await self.close()
            self._streams = await asyncio.open_connection(self._host, self._port)
        return self._streams

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None

    async def ask_anew(self, path: str) -> Answer:
        """Make what is cached stale, as an action of anybody would, then ask.

        Raises:
            WrongAnswerError: it is not answered with 200, or out of a cache.
        """
        await self._connection.execute(_RAISE, VIEWS)
        answer = await self.ask(path)
        if answer.status != 200 or answer.headers.get("x-cache") != "MISS":  # noqa: PLR2004 - HTTP's word for it
            cached = answer.headers.get("x-cache")
            raise WrongAnswerError(f"{path} answered {answer.status}, X-Cache {cached}: {answer.body[:300]!r}")
        return answer

    async def times_anew(self, paths: Sequence[str], runs: int) -> dict[str, list[float]]:
        """Seconds of so many answers of each, computed anew, after ten that do not count: the server settles on plans.

        Asked in turn, so that what the server does beside it falls on all alike.
        """
        seconds: dict[str, list[float]] = {path: [] for path in paths}
        for number in range(_WARM_UP + runs):
            for path in paths:
                answer = await self.ask_anew(path)
                if number >= _WARM_UP:
                    seconds[path].append(answer.seconds)
        return seconds


@asynccontextmanager
async def viewing(host: str, port: int, token: str, connection: asyncpg.Connection[Any]) -> AsyncGenerator[Viewer]:
    """A viewer, whose connection is closed at the end."""
    viewer = Viewer(host, port, token, connection)
    try:
        yield viewer
    finally:
        await viewer.close()
