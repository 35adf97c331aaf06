"""A Redis for one run: the one that ``TDS_BENCH_REDIS_URL`` names, or our own, which writes to disk at once."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from app.cli.children import ChildError

__all__ = ["VARIABLE", "redis_available", "redis_server"]

VARIABLE: Final = "TDS_BENCH_REDIS_URL"
_START_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.05


def redis_available() -> bool:
    """Whether there is one, or a program to start one with."""
    return bool(os.environ.get(VARIABLE)) or shutil.which("redis-server") is not None


@asynccontextmanager
async def redis_server(folder: Path) -> AsyncGenerator[str]:
    """The URL of a Redis; our own is empty, keeps its files in ``folder``, and is ended with the block.

    Every command is written to disk before it is answered (``appendfsync always``), as PostgreSQL's commits are. One
    named by the environment must be set so by its owner.

    Raises:
        ChildError: it does not start.
    """
    if url := os.environ.get(VARIABLE):
        yield url
        return
    port = _free_port()
    data = folder / f"redis-{port}"
    data.mkdir()
    process = await asyncio.create_subprocess_exec(
        *("redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(data)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await _wait_for(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.shield(process.wait())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def _wait_for(port: int, process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not await _answers(port):
                if process.returncode is not None:
                    raise ChildError(f"redis-server has ended with code {process.returncode}")
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise ChildError(f"redis-server does not answer within {_START_SECONDS:.0f} s") from None


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
