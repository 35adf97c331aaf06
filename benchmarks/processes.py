"""The processes of a benchmark."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.cli import children
from app.cli.children import Child, ChildError

__all__ = ["ROOT", "Tds", "address_in", "child"]

ROOT: Final = Path(__file__).parents[1]


def child(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], folder: Path, lines: int = 1
) -> AbstractAsyncContextManager[Child]:
    """A process of the benchmark, working in ``folder``, with none of the settings of whoever called it.

    Raises:
        ChildError: it does not start.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TDS_")}
    return children.child(name, command, environment={**kept, **environment}, folder=folder, cwd=folder, lines=lines)


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
