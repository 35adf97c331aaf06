"""Processes that belong to a command: started, waited for, watched and ended, by their own ids.

Each has a session of its own, so that Ctrl-C reaches only its parent, which ends them in order. Its standard input is a
pipe that the parent holds: whatever becomes of the parent, the child's end of it closes, and a child that watches it
stops by itself (see `app.cli.lifeline`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from app.core.errors import TdsError

__all__ = ["Child", "ChildError", "child", "unless_ended"]

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_TAIL: Final = 8
T = TypeVar("T")


class ChildError(TdsError):
    """A process does not start, or has ended by itself; the message holds its last words."""


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
            ChildError: it ends, or says nothing for a minute.
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
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    cwd: Path | None = None,
    lines: int = 1,
) -> AsyncGenerator[Child]:
    """A process, ready once it has printed ``lines`` lines; ended with the block. Its log is ``<folder>/<name>.log``.

    ``environment`` is all that it is given.

    Raises:
        ChildError: it does not start.
    """
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
    started = Child(name, process, log)
    try:
        await started.wait_ready(lines)
        yield started
    finally:
        await asyncio.shield(started.stop())


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
