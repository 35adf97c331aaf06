"""The command line under test, in this process, and a database that has something to show."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Generator
from contextlib import suppress

import pytest
import structlog
from typer.testing import CliRunner, Result

from app.cli.application import commands
from app.core.config import DatabaseSettings
from app.core.database import Database
from app.tds import SyncWorker, TDSQueueService
from tests.support.postgres import TestServer

PRODUCT = {"name": "HDMI Cable 3m", "sku": "HDM-01", "price": "12500", "stock_on_hand": "7"}


class Tds:
    """Runs ``tds`` with arguments."""

    def __call__(self, *arguments: str, given: str | None = None) -> Result:
        """What came of a command; ``given`` is its standard input."""
        return CliRunner().invoke(commands, list(arguments), input=given, prog_name="tds")


@pytest.fixture
def tds() -> Generator[Tds]:
    """The command line; logging is put back afterwards, since each command sets it up."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Tds()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def connected(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A migrated, empty database, as the settings' own."""
    monkeypatch.setenv("TDS_DATABASE_URL", database_url)
    return database_url


@pytest.fixture
def filled(connected: str) -> str:
    """The same with a product that was created and changed, and a product that was given up."""
    asyncio.run(_fill(connected))
    return connected


async def _fill(url: str) -> None:
    database = Database(url, DatabaseSettings())
    for source_id, payload in (("4711", PRODUCT), ("4711", {**PRODUCT, "price": "12750"}), ("4712", {"sku": "X"})):
        async with database.session() as session:
            await TDSQueueService(session).enqueue(
                entity_type="product", source_entity_id=source_id, operation_type="upsert", validated_payload=payload
            )
        with suppress(TimeoutError):
            await SyncWorker(database=database).process_batch()
    await database.dispose()


@pytest.fixture
def empty_database_url(database_server: TestServer) -> Generator[str]:
    """A database without a schema."""
    url = database_server.create()
    yield url
    database_server.drop(url)


@pytest.fixture
def taken_port() -> Generator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]
