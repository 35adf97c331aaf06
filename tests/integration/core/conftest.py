"""A database of the module's own, made for it and dropped after it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from app.core.config import DatabaseSettings
from app.core.database import Database

_SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"


async def _run_on_server(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def database_url() -> Generator[str]:
    """The URL of an empty database."""
    server, name = os.environ.get("TDS_TEST_DATABASE_URL") or _SERVER, f"tds_test_{uuid4().hex}"
    asyncio.run(_run_on_server(server, f"CREATE DATABASE {name}"))
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    asyncio.run(_run_on_server(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def settings() -> DatabaseSettings:
    """A small pool that says soon when it is empty."""
    return DatabaseSettings(pool_size=4, pool_timeout=5)


@pytest.fixture
async def database(database_url: str, settings: DatabaseSettings) -> AsyncGenerator[Database]:
    """The module's database, with an engine of the test's own."""
    database = Database(database_url, settings)
    yield database
    await database.dispose()
