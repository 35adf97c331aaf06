"""An empty database of the module's own: these tests make their own tables."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import pytest

from app.core.config import DatabaseSettings
from app.core.database import Database
from tests.support.postgres import TestServer


@pytest.fixture(scope="module")
def database_url(database_server: TestServer) -> Generator[str]:
    """The URL of an empty database."""
    url = database_server.create()
    yield url
    database_server.drop(url)


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
