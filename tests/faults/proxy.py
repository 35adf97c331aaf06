"""A TCP proxy in front of PostgreSQL's Unix socket, one for each process, so that each can be cut off alone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final

__all__ = ["Proxy"]

_CHUNK: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no patience: closing sends RST, as a cable that is pulled and a NAT that forgets do in the end."""


class Proxy:
    """Forwards bytes both ways. ``stall`` keeps them back, ``cut`` resets connections and refuses new ones."""

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._is_cut = False
        self._opened = 0
        self._forgotten = 0
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the proxy is not started")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._pairs)

    def stall(self) -> None:
        """Keep back whatever is sent, both ways, without a word to either side."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward again, beginning with what was kept back."""
        self._flowing.set()

    def forget(self) -> None:
        """Never forward again what comes over the connections open now, nor their end: as a NAT that forgets them."""
        self._forgotten = self._opened

    def cut(self) -> None:
        """Reset every connection, and each new one at once."""
        self._is_cut = True
        for client, server in list(self._pairs):
            _reset(client)
            server.transport.abort()

    def mend(self) -> None:
        """Let new connections through again."""
        self._is_cut = False

    async def aclose(self) -> None:
        """End everything."""
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            _reset(writer)
            return
        try:
            answers, server = await asyncio.open_unix_connection(self._target())
        except OSError:  # the server is down: so is this connection
            _reset(writer)
            return
        pair = (writer, server)
        self._pairs.add(pair)
        try:
            await self._forward(reader, server, answers, writer)
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.transport.abort()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Forward until either side ends; what it said last is still passed on."""
        self._opened += 1
        directions = [
            asyncio.ensure_future(self._pipe(self._opened, reader, server)),
            asyncio.ensure_future(self._pipe(self._opened, answers, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _pipe(self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await self._read(number, source):
                sink.write(data)
                await sink.drain()

    async def _read(self, number: int, source: asyncio.StreamReader) -> bytes:
        data = await source.read(_CHUNK)
        await self._flowing.wait()
        while number <= self._forgotten:
            await asyncio.Event().wait()
        return data


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
