"""``GET /api/bff/tds/stream`` as a client sees it, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from httpx2 import AsyncClient, Response

from app.core.database import Database
from app.core.events import event_log
from app.core.events.event_bus import EventBus
from app.core.security.principals import Role
from tests.support.access import bearer, make_token, revoke_token
from tests.support.events import make
from tests.support.served import served
from tests.support.stream import StreamParser
from tests.support.wire import Server

STREAM = "/api/bff/tds/stream"


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Generator[Server]:
    """A server that looks and beats often, and lets each have two streams."""
    quick = {"LOOK_SECONDS": "0.05", "HEARTBEAT_SECONDS": "0.2", "CLIENTS_EACH": "2"}
    with served(database_url, tmp_path, **{f"TDS_STREAM_{name}": value for name, value in quick.items()}) as server:
        yield server


class Stream:
    """An open stream, read as far as asked."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.parser = StreamParser()
        self._chunks: AsyncIterator[bytes] = response.aiter_bytes()

    async def until(self, reached: Callable[[StreamParser], bool]) -> StreamParser:
        """Read on until something was read."""
        async with asyncio.timeout(30):
            while not reached(self.parser):
                self.parser.feed(await anext(self._chunks))
        return self.parser

    async def to_end(self) -> StreamParser:
        """Read all there is: the server has to end it."""
        async with asyncio.timeout(30):
            async for chunk in self._chunks:
                self.parser.feed(chunk)
        return self.parser


@asynccontextmanager
async def opened(server: Server, headers: dict[str, str], query: str = "") -> AsyncGenerator[Stream]:
    """A stream that has been told where it starts, or sent what it has missed."""
    async with (
        AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client,
        client.stream("GET", f"{STREAM}{query}", headers=headers) as response,
    ):
        assert response.status_code == 200
        stream = Stream(response)
        await stream.until(lambda parser: bool(parser.messages))
        yield stream


async def commit(database: Database, *numbers: int) -> None:
    """Have events happen."""
    async with database.transaction() as session:
        await event_log.record(session, [make(number=number) for number in numbers], bus=EventBus())


def numbers(parser: StreamParser) -> list[int]:
    """What has come."""
    return [one.data["data"]["number"] for one in parser.of()]


class TestStream:
    """What a viewer gets."""

    async def test_is_an_event_stream_that_nobody_keeps(self, server: Server, database: Database) -> None:
        """Neither a cache nor a proxy, and it is not packed: each message goes out at once."""
        headers = bearer(await make_token(database, Role.VIEWER)) | {"Accept-Encoding": "gzip"}
        async with opened(server, headers) as stream:
            told = stream.response.headers
            assert told["content-type"].startswith("text/event-stream")
            assert told["cache-control"] == "no-store"
            assert told["x-accel-buffering"] == "no"
            assert "content-encoding" not in told
            assert "content-length" not in told
            await commit(database, 1, 2)
            assert numbers(await stream.until(lambda parser: len(parser.of()) == 2)) == [1, 2]

    async def test_goes_on_from_the_last_id(self, server: Server, database: Database) -> None:
        """By the header that browsers send, which is newer than what stands in the address, or by the address."""
        await commit(database, 1, 2, 3)
        headers = bearer(await make_token(database, Role.VIEWER))
        async with opened(server, headers, "?last_event_id=1") as stream:
            assert numbers(await stream.until(lambda parser: len(parser.of()) == 2)) == [2, 3]
        async with opened(server, headers | {"Last-Event-ID": "2"}, "?last_event_id=1") as stream:
            assert numbers(stream.parser) == [3]

    async def test_filters(self, server: Server, database: Database) -> None:
        """By patterns, with commas between them."""
        await commit(database, 1)
        headers = bearer(await make_token(database, Role.VIEWER))
        async with opened(server, headers, "?last_event_id=0&types=tds.alert.*,tds.entity.create") as stream:
            assert numbers(stream.parser) == [1]


class TestAccess:
    """Who gets it, and how many."""

    async def test_ends_within_a_heartbeat_of_the_tokens_end(self, server: Server, database: Database) -> None:
        """And only for that token."""
        revoked, kept = (
            await make_token(database, Role.VIEWER, name="a"),
            await make_token(database, Role.VIEWER, name="b"),
        )
        async with opened(server, bearer(revoked)) as ending, opened(server, bearer(kept)) as going_on:
            await revoke_token(database, revoked)
            await ending.to_end()
            await commit(database, 1)
            assert numbers(await going_on.until(lambda parser: bool(parser.of()))) == [1]
        async with AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            assert (await client.get(STREAM, headers=bearer(revoked))).status_code == 401
            assert (await client.get(STREAM)).status_code == 401

    async def test_has_as_many_as_it_may(self, server: Server, database: Database) -> None:
        """A third one is told to wait; when one has gone, there is room."""
        headers = bearer(await make_token(database, Role.VIEWER))
        async with AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client, opened(server, headers):
            async with opened(server, headers):
                refused = await client.get(STREAM, headers=headers)
                assert refused.status_code == 429
                assert refused.json()["type"] == "urn:tds:problem:too-many-streams"
                assert refused.headers["retry-after"] == "15"
            async with asyncio.timeout(30):
                while True:  # the server hears of the hanging up by itself
                    async with client.stream("GET", STREAM, headers=headers) as response:
                        if response.status_code == 200:
                            break


class TestShutdown:
    """The server ends."""

    async def test_ends_the_stream_at_once(self, server: Server, database: Database) -> None:
        """The answer is complete, and nobody waits until it is cut off."""
        headers = bearer(await make_token(database, Role.VIEWER))
        async with opened(server, headers) as stream:
            server.process.terminate()
            await stream.to_end()
        assert await asyncio.to_thread(server.process.wait, 30) == 0
        assert "timeout graceful shutdown exceeded" not in server.log.read_text(encoding="utf-8")
