"""What all tests share: one PostgreSQL a run, and a migrated database for each test that asks for one."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Generator

import pytest

from app.core.config import DatabaseSettings
from app.core.database import Database, configure
from app.core.doorbell import Doorbell
from app.core.events.event_bus import event_bus
from app.migrations.runner import upgrade
from tests.support import postgres
from tests.support.postgres import TestServer


def pytest_configure(config: pytest.Config) -> None:
    """Name the run, in the process that steers it."""
    if not hasattr(config, "workerinput"):
        postgres.begin_run()
    for name in [name for name in os.environ if name.startswith("TDS_") and not name.startswith("TDS_TEST_")]:
        del os.environ[name]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the run has made."""
    if not hasattr(config, "workerinput") and postgres.RUN_VARIABLE in os.environ:
        postgres.end_run()


@pytest.fixture(scope="session")
def database_server() -> Generator[TestServer]:
    """The run's server."""
    with postgres.test_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(database_server: TestServer) -> str:
    """A template that holds the newest schema."""
    return database_server.create_template("migrated", upgrade)


@pytest.fixture
def database_url(database_server: TestServer, migrated_template: str) -> Generator[str]:
    """A migrated database of the test's own."""
    url = database_server.clone(migrated_template)
    yield url
    database_server.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """The same, open, and the default of ``get_async_db`` and ``SyncWorker``."""
    database = Database(database_url, DatabaseSettings(pool_size=8, pool_timeout=10))
    configure(database)
    yield database
    configure(None)
    kept = database.engine.pool.status()
    await database.dispose()
    assert "Current Checked out connections: 0" in kept, kept  # or the garbage collector fails another test for it


@pytest.fixture
async def doorbell(database: Database) -> AsyncGenerator[Doorbell]:
    """Bells, all of which have been sent when the test is over."""
    bell = Doorbell(database)
    yield bell
    await bell.close()


@pytest.fixture
def isolated_bus() -> Generator[None]:
    """The event bus, without what others subscribed or published."""
    with event_bus.isolated():
        yield
