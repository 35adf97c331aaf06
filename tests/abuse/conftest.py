"""A server that must outlive every test."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.postgres import TestServer
from tests.support.served import populated, served
from tests.support.wire import Server


@pytest.fixture(scope="session")
def attacked(
    database_server: TestServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Server, str]]:
    """The server of this worker's run, and its database's URL."""
    with populated(database_server, migrated_template) as url, served(url, tmp_path_factory.mktemp("abuse")) as server:
        yield server, url


@pytest.fixture
def server(attacked: tuple[Server, str]) -> Generator[Server]:
    """The server; after the test it must live and answer, and have crashed nowhere."""
    server, _ = attacked
    before = len(server.log_lines())
    yield server
    server.assert_alive()
    crashes = [line for line in server.log_lines()[before:] if line["level"] in ("error", "critical")]
    assert crashes == []
