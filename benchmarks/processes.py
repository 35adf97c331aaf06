"""The processes of a benchmark: started, waited for, and ended by their ids.

Each has a session of its own, so that Ctrl-C reaches only the benchmark, which ends them in order; and a pipe as its
standard input, whose end tells it that the benchmark is gone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from app.core.errors import TdsError

__all__ = ["ROOT", "Child", "ChildError", "Tds", "address_in", "child", "unless_ended"]

ROOT: Final = Path(__file__).parents[1]
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 20.0
_TAIL: Final = 8
T = TypeVar("T")


class ChildError(TdsError):
    """A process of the benchmark does not start, or has ended by itself; the message holds its last words."""


class Child:
    """A running process, and the lines by which it told that it is ready."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.lines: list[str] = []
        self._log = log
        self._draining: asyncio.Future[None] | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    async def wait_ready(self, lines: int) -> None:
        """Wait for so many lines.

        Raises:
            ChildError: it ends, or says nothing for two minutes.
        """
        output = self.process.stdout
        assert output is not None  # noqa: S101 - it was started with a pipe
        try:
            async with asyncio.timeout(_START_SECONDS):
                while len(self.lines) < lines:
                    line = await output.readline()
                    if not line:
                        await self.wait_ended()
                    self.lines.append(line.decode().strip())
        except TimeoutError:
            raise ChildError(f"the {self.name} does not start within {_START_SECONDS:.0f} s: {self._tail()}") from None
        self._draining = asyncio.ensure_future(_drain(output))

    async def wait_ended(self) -> None:
        """Wait for its end, which is always an error here.

        Raises:
            ChildError: it has ended.
        """
        code = await self.process.wait()
        raise ChildError(f"the {self.name} has ended with code {code}: {self._tail()}")

    async def stop(self) -> None:
        """End it, the clean way if it can."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        if self._draining is not None:
            await self._draining

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()[-_TAIL:]
        return " | ".join(lines) or "it said nothing"


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.read(65_536):
        pass


@asynccontextmanager
async def child(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], folder: Path, lines: int = 1
) -> AsyncGenerator[Child]:
    """A process, ready once it has printed ``lines`` lines; ended with the block. Its log is in ``folder``.

    Raises:
        ChildError: it does not start.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TDS_")}
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**kept, **environment},
            cwd=folder,
            start_new_session=True,
        )
    started = Child(name, process, log)
    try:
        await started.wait_ready(lines)
        yield started
    finally:
        await asyncio.shield(started.stop())


class Tds:
    """``tds`` processes on one database. ``environment`` holds what differs from the defaults."""

    def __init__(self, url: str, folder: Path, **environment: str) -> None:
        self._folder = folder
        self.environment = {
            "TDS_DATABASE_URL": url,
            "TDS_HOME": str(folder),
            "TDS_LOG_LEVEL": "warning",
            **environment,
        }

    @asynccontextmanager
    async def running(self, name: str, *arguments: str) -> AsyncGenerator[Child]:
        """``tds <arguments>``, ready."""
        command = [sys.executable, "-m", "benchmarks.child", *arguments]
        async with child(name, command, environment=self.environment, folder=self._folder) as started:
            yield started

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[tuple[Child, str, int]]:
        """The API without workers, on a free port: the process, its host and its port."""
        async with self.running("server", "serve", "--workers", "0", "--port", "0") as started:
            yield (started, *address_in(started.lines[0]))


def address_in(line: str) -> tuple[str, int]:
    """Host and port of the URL in what a server says when it listens.

    Raises:
        ChildError: there is none.
    """
    for word in line.replace(",", " ").split():
        parts = urlsplit(word)
        if parts.scheme == "http" and parts.hostname and parts.port:
            return parts.hostname, parts.port
    raise ChildError(f"a server did not tell where it listens, but: {line!r}")


async def unless_ended(work: Coroutine[Any, Any, T], children: Sequence[Child]) -> T:
    """Carry out ``work`` for as long as all children live.

    Raises:
        ChildError: one has ended.
    """
    doing = asyncio.ensure_future(work)
    ends = [asyncio.ensure_future(one.wait_ended()) for one in children]
    try:
        await asyncio.wait([doing, *ends], return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            if end.done() and not doing.done():
                end.result()
        return await doing
    finally:
        for task in (doing, *ends):
            task.cancel()
        await asyncio.gather(doing, *ends, return_exceptions=True)
