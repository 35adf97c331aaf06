"""The least that a server can do: one answer made beforehand, for whatever comes. It shows the generator's own limit.

Usage: ``python -m benchmarks.echo FILE``, a file of bytes to send as they are for each write of a client.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import cast

import uvloop

from app.cli.lifeline import end_with_parent


class _Echo(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)  # TCP has no other

    def data_received(self, data: bytes) -> None:
        """A request: the generator's fit into one piece."""
        del data
        self._transport.write(self._answer)


async def _serve(answer: bytes) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: _Echo(answer), "127.0.0.1", 0)
    sys.stdout.write(f"listens on http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()
    server.close()


if __name__ == "__main__":
    end_with_parent()
    uvloop.run(_serve(Path(sys.argv[1]).read_bytes()))
