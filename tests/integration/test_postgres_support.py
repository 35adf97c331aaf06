"""The databases that tests are given."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from app.core.embedded import EmbeddedPostgres
from tests.support.embedded import all_gone, guarded_home, query, wait_until
from tests.support.postgres import (
    FAST,
    HOME_VARIABLE,
    RUN_VARIABLE,
    URL_VARIABLE,
    TestServer,
    begin_run,
    end_run,
    test_server,
)

pytestmark = pytest.mark.integration

COUNT = "SELECT count(*) FROM pg_database WHERE datname LIKE 'tds\\_test\\_%'"


class Migration:
    """Makes one table, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def run(self, url: str) -> None:
        """Migrate one database."""
        self.calls += 1
        asyncio.run(query(url, "CREATE TABLE made AS SELECT 7 AS n", "SELECT 1"))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server of this module's own."""
    with guarded_home() as home, EmbeddedPostgres(home, settings=FAST) as server:
        yield server.start().url("postgres")


@pytest.fixture(params=["FILE_COPY", "WAL_LOG"])
def server(address: str, request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """An empty run on it."""
    server = TestServer(address, "self", strategy=request.param)
    yield server
    server.drop_all()


class TestCreateTemplate:
    """One migration for a run."""

    def test_migrates_once_for_all_who_ask(self, server: TestServer) -> None:
        """Workers that ask at the same time get the same template, migrated once."""
        migration = Migration()
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(server.create_template, "main", migration.run) for _ in range(3)]
        names = {each.result() for each in waiting}
        assert names == {"tds_test_self_main"}
        assert migration.calls == 1

    def test_is_made_again_after_a_failed_migration(self, server: TestServer) -> None:
        """Half a template is never cloned."""

        def fail(_url: str) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            server.create_template("main", fail)
        migration = Migration()
        server.create_template("main", migration.run)
        assert migration.calls == 1


class TestClone:
    """A database for one test."""

    async def test_has_what_the_template_has_and_is_its_own(self, server: TestServer) -> None:
        """Clones begin alike and do not see each other, also when made inside of an event loop."""
        template = server.create_template("main", Migration().run)
        first, second = server.clone(template), server.clone(template)
        await query(first, "UPDATE made SET n = 8", "SELECT 1")
        assert (await query(first, "SELECT n FROM made"), await query(second, "SELECT n FROM made")) == ([8], [7])

    async def test_can_be_empty(self, server: TestServer) -> None:
        """Without a template there is nothing in it."""
        assert await query(server.create(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [0]


class TestDrop:
    """The end of a database."""

    async def test_cuts_who_is_connected(self, server: TestServer) -> None:
        """A connection that a test forgot does not keep its database."""
        url = server.create()
        sleeper = asyncio.create_task(query(url, "SELECT pg_sleep(60)"))
        busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
        while await query(url, busy) == [0]:  # each look takes a moment in which the other gets on
            continue
        server.drop(url)
        with pytest.raises(DBAPIError):
            await sleeper

    async def test_of_all_leaves_nothing_of_the_run(self, server: TestServer, address: str) -> None:
        """Templates and clones of the run are gone, those of other runs stay."""
        other = TestServer(address, "other", strategy="WAL_LOG")
        other.create()
        server.clone(server.create_template("main", Migration().run))
        server.drop_all()
        assert await query(address, COUNT) == [1]
        other.drop_all()
        assert await query(address, COUNT) == [0]


class TestRun:
    """From the first hook to the last."""

    def test_removes_its_own_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a given server the run makes one, shares it, and leaves neither processes nor files."""
        for name in (RUN_VARIABLE, HOME_VARIABLE, URL_VARIABLE):
            monkeypatch.setenv(name, "")
        begin_run()
        home = Path(os.environ[HOME_VARIABLE])
        with test_server() as server:
            assert asyncio.run(query(server.create(), "SELECT 1")) == [1]
        end_run()
        assert not home.exists()
        wait_until(lambda: all_gone(home))

    async def test_leaves_a_given_server_as_it_was(self, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """On somebody's server only the run's own databases are made, and dropped."""
        for name, value in {RUN_VARIABLE: "", HOME_VARIABLE: "", URL_VARIABLE: address}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv(HOME_VARIABLE)
        begin_run()
        with test_server() as server:
            server.create()
            assert await query(address, COUNT) == [1]
        await asyncio.to_thread(end_run)
        assert await query(address, COUNT) == [0]
