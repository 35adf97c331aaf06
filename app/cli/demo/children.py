"""The demo's processes: started, waited for, watched and ended, by their own ids.

Each is a ``tds`` command in a session of its own, so that Ctrl-C reaches only the demo, which ends them in order.
Its standard input is a pipe that the demo holds: whatever becomes of the demo, the child's end of it closes, and the
child stops by itself (see `app.cli.lifeline`).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from app.core.errors import TdsError

__all__ = ["Child", "ChildError", "child", "unless_ended"]

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
_TAIL: Final = 5
T = TypeVar("T")


class ChildError(TdsError):
    """A process of the demo does not start, or has ended by itself; the message holds its last words."""


class Child:
    """A running process; ``told`` is the first line it printed."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.told = ""
        self._log = log
        self._draining: asyncio.Future[None] | None = None

    async def wait_ready(self) -> None:
        """Wait for the first line.

        Raises:
            ChildError: it ends, or says nothing.
        """
        output = self.process.stdout
        assert output is not None  # noqa: S101 - it was started with a pipe
        try:
            async with asyncio.timeout(_START_SECONDS):
                self.told = (await output.readline()).decode().strip()
        except TimeoutError:
            raise ChildError(f"the {self.name} does not start within {_START_SECONDS:.0f} s: {self._tail()}") from None
        if not self.told:
            await self.wait_ended()
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
    name: str, arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path
) -> AsyncGenerator[Child]:
    """``tds <arguments>`` as a process, ready; ended with the block. Its log is ``<folder>/<name>.log``.

    Raises:
        ChildError: it does not start.
    """
    log = folder / f"{name}.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", *arguments, "--with-parent"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    started = Child(name, process, log)
    try:
        await started.wait_ready()
        yield started
    finally:
        await started.stop()


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
