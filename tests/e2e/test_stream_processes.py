"""The event stream over several processes: what one server has begun, another goes on with."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http.client import HTTPConnection, IncompleteRead

import pytest
from sqlalchemy import text

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.embedded import EmbeddedPostgres
from tests.e2e.conftest import Command, Home
from tests.support.stream import StreamParser

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TOKEN = "example-admin-token"


def _port(server: Command) -> int:
    found = re.search(r":(\d+),", server.wait_for(lambda line: "listens on" in line))
    assert found is not None
    return int(found[1])


def _read(port: int, last: str | None, enough: Callable[[StreamParser], bool]) -> StreamParser:
    """Read a stream until there is enough of it, or the server is gone; then hang up."""
    connection, parser = HTTPConnection("127.0.0.1", port, timeout=100), StreamParser()
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({} if last is None else {"Last-Event-ID": last})
    try:
        connection.request("GET", "/api/bff/tds/stream", headers=headers)
        answer = connection.getresponse()
        while not enough(parser) and (chunk := answer.read1(65_536)):
            parser.feed(chunk)
    except (ConnectionError, IncompleteRead):
        pass
    finally:
        connection.close()
    return parser


async def _logged(home: Home, after: int) -> list[int]:
    server = EmbeddedPostgres(home.path)
    database = Database(server.start().url("tds"), DatabaseSettings())
    try:
        async with database.session() as session:
            query = text("SELECT position FROM event_log WHERE position > :after ORDER BY position")
            return list((await session.scalars(query, {"after": after})).all())
    finally:
        await database.dispose()
        server.stop_using()


def test_a_killed_servers_stream_goes_on_at_another(home: Home) -> None:
    """A client is served by one process, which is killed; it goes on at another, and has every event once, in order."""
    home.environment["TDS_SERVER_ADMIN_TOKEN"] = TOKEN
    with home.started("sandbox", "zoho", "--products", "600", "--customers", "30") as sandbox:
        sandbox.wait_for(lambda line: line.startswith("Zoho sandbox on"))
        for _ in range(6):
            name, value = sandbox.output.readline().removeprefix("export ").strip().split("=", 1)
            home.environment[name] = value
        with (
            home.started("serve", "--port", "0", "--workers", "0") as first,
            home.started("serve", "--port", "0", "--workers", "0") as second,
            home.started("worker", "--count", "2") as worker,
        ):
            ports = _port(first), _port(second)
            worker.wait_for(lambda line: "at work" in line)
            start = _read(ports[0], None, lambda parser: bool(parser.messages)).last_id
            assert home.run("sync", "run", "zoho", "--full").returncode == 0
            begun = _read(ports[0], start, lambda parser: len(parser.of()) >= 100)
            first.process.kill()
            ended = len(begun.of("tds.sync.completed"))
            rest = _read(ports[1], begun.last_id, lambda parser: len(parser.of("tds.sync.completed")) + ended == 2)
            got = [int(one.id) for one in (*begun.of(), *rest.of())]
            logged = asyncio.run(_logged(home, int(start)))
            assert got == logged[: len(got)]
            assert len(got) > 600
