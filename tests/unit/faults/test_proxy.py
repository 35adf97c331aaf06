"""The proxy between a process and PostgreSQL's socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
    writer.close()


@pytest.fixture
async def proxy() -> AsyncGenerator[Proxy]:
    """A proxy in front of a server that says everything back."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = str(Path(folder) / "s")
        server = await asyncio.start_unix_server(_echo, path)
        started = Proxy(lambda: path)
        await started.start()
        yield started
        await started.aclose()
        server.close()


async def _connect(proxy: Proxy) -> Streams:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def _said_back(streams: Streams, text: bytes) -> bytes:
    reader, writer = streams
    writer.write(text)
    return await asyncio.wait_for(reader.read(1024), 5)


class TestProxy:
    """What it does to bytes."""

    async def test_forwards_both_ways(self, proxy: Proxy) -> None:
        """What is said comes back."""
        streams = await _connect(proxy)
        assert await _said_back(streams, b"hello") == b"hello"
        assert proxy.connections == 1
        streams[1].close()

    async def test_keeps_bytes_back_while_stalled_and_delivers_them_then(self, proxy: Proxy) -> None:
        """Nothing is lost, nothing is reset; it only comes late."""
        reader, writer = await _connect(proxy)
        proxy.stall()
        writer.write(b"late")
        waiting = asyncio.create_task(reader.read(1024))
        assert await asyncio.wait([waiting], timeout=0.1) == (set(), {waiting})
        proxy.resume()
        assert await asyncio.wait_for(waiting, 5) == b"late"
        writer.close()

    async def test_forgets_what_is_open_without_ending_it_and_serves_new_ones(self, proxy: Proxy) -> None:
        """Neither bytes nor an end ever come over a forgotten connection."""
        reader, writer = await _connect(proxy)
        assert await _said_back((reader, writer), b"hello") == b"hello"
        proxy.forget()
        writer.write(b"lost")
        writer.write_eof()
        waiting = asyncio.create_task(reader.read(1024))
        streams = await _connect(proxy)
        assert await _said_back(streams, b"new") == b"new"
        assert not waiting.done()
        waiting.cancel()
        writer.close()
        streams[1].close()

    async def test_resets_what_is_open_when_cut(self, proxy: Proxy) -> None:
        """A connection ends with an error, not in order."""
        streams = await _connect(proxy)
        assert await _said_back(streams, b"hello") == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(streams[0].read(1024), 5)

    async def test_resets_new_ones_until_mended(self, proxy: Proxy) -> None:
        """Who comes during the cut is turned away, who comes after is not."""
        proxy.cut()
        reader, _ = await _connect(proxy)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1024), 5)
        proxy.mend()
        streams = await _connect(proxy)
        assert await _said_back(streams, b"again") == b"again"
        streams[1].close()

    async def test_ends_the_connection_whose_server_is_gone(self) -> None:
        """A socket that nobody listens on is a connection that is reset."""
        lonely = Proxy(lambda: "/nonexistent/socket")
        await lonely.start()
        reader, _ = await _connect(lonely)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1024), 5)
        await lonely.aclose()
