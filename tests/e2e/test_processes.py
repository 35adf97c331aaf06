"""Servers, workers and commands as separate processes on one database."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import urllib.request
from collections.abc import Generator

import pytest

from app.cli.demo import erp_side, zoho_side
from app.cli.demo.comparison import Comparison, compare, expected_customer, expected_product
from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.embedded import EmbeddedPostgres
from app.sandbox.zoho.contract import FaultRule
from app.sandbox.zoho.control import SandboxControl
from tests.e2e.conftest import Home
from tests.support.embedded import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def zoho(home: Home) -> Generator[str]:
    """A sandbox of 1,000 items and 120 customers that the home's commands are connected to; its URL."""
    with home.started("sandbox", "zoho", "--products", "1000", "--customers", "120") as sandbox:
        url = sandbox.wait_for(lambda line: line.startswith("Zoho sandbox on")).split()[-1]
        for _ in range(6):
            name, value = sandbox.output.readline().removeprefix("export ").strip().split("=", 1)
            home.environment[name] = value
        yield url


async def _slow_down(url: str) -> None:
    async with SandboxControl(url) as control:
        await control.add_faults(FaultRule(kind="slow", path="/inventory/v1/items", delay=0.4))


async def _calls(url: str) -> int:
    async with SandboxControl(url) as control:
        return (await control.calls()).total


async def _compared(home: Home) -> list[Comparison]:
    items = await zoho_side.read_items(home.environment)
    contacts = await zoho_side.read_contacts(home.environment)
    server = EmbeddedPostgres(home.path)
    database = Database(server.start().url("tds"), DatabaseSettings())
    try:
        async with database.session() as session:
            products, customers = await erp_side.read_products(session), await erp_side.read_customers(session)
    finally:
        await database.dispose()
        server.stop_using()
    return [
        compare("product", items, products, expected_product),
        compare("customer", contacts, customers, expected_customer),
    ]


class TestWorker:
    """``tds worker``."""

    def test_takes_up_what_a_killed_one_left(self, home: Home, zoho: str) -> None:
        """A worker is killed in the middle of a run; the next one goes on, and both sides end up equal."""
        home.environment |= {"TDS_QUEUE_RUN_LEASE_SECONDS": "2", "TDS_QUEUE_LEASE_SECONDS": "2"}
        asyncio.run(_slow_down(zoho))
        with home.started("serve", "--port", "0", "--workers", "0") as api:
            api.wait_for(lambda line: "without workers" in line)
            with home.started("worker", "--count", "2") as worker:
                worker.wait_for(lambda line: "at work" in line)
                assert home.run("sync", "run", "zoho", "--full").returncode == 0
                wait_until(lambda: asyncio.run(_calls(zoho)) >= 3, 30)
                worker.process.kill()
                worker.process.wait()
            assert "processing" in {run["status"] for run in home.json("status")["runs"]}
            with home.started("sync", "run", "zoho", "--full", "--wait", "--json") as waiting:
                wait_until(lambda: "A run of customer is under way" in (home.path / "sync.log").read_text(), 30)
                with home.started("worker", "--count", "2") as worker:
                    worker.wait_for(lambda line: "at work" in line)
                    runs = json.loads(waiting.output.read())["runs"]
                    assert waiting.process.wait() == 0
                    assert worker.end(signal.SIGTERM) == 0
            assert [(run["status"], run["total"]) for run in runs] == [("completed", 1000), ("completed", 120)]
            assert api.end(signal.SIGTERM) == 0
        compared = asyncio.run(_compared(home))
        assert all(one.is_equal for one in compared), [one.differences[:3] for one in compared]
        assert [one.equal for one in compared] == [1000, 120]


class TestServe:
    """``tds serve``."""

    def test_answers_and_ends_cleanly(self, home: Home) -> None:
        """It says where it listens, is seen by the status, and leaves nothing behind."""
        with home.started("serve", "--port", "0", "--workers", "1") as server:
            line = server.wait_for(lambda line: "listens on" in line)
            assert line.endswith("with 1 worker\n")
            url = line.split()[3].rstrip(",")
            with urllib.request.urlopen(f"{url}/health/ready", timeout=10) as answer:  # noqa: S310 - our own server
                assert answer.status == 200
            assert len(home.json("status")["workers"]) == 1
            assert server.end(signal.SIGINT) == 0
        home.assert_left()

    def test_warns_of_a_demos_database(self, home: Home) -> None:
        """Who works with real data must know that the next demo empties it."""
        assert home.run("demo", "--once", "--products", "30", "--customers", "20").returncode == 0
        with home.started("serve", "--port", "0") as server:
            server.wait_for(lambda line: "listens on" in line)
            assert server.end(signal.SIGTERM) == 0
        assert 'the next "tds demo" empties it' in (home.path / "serve.log").read_text()


class TestSyncRun:
    """``tds sync run --wait``."""

    def test_can_be_left_while_it_waits(self, home: Home, zoho: str) -> None:
        """Ctrl-C ends the waiting and not the run, and says so; exit 130."""
        assert zoho
        with home.started("sync", "run", "zoho", "--wait") as waiting:
            log = home.path / "sync.log"
            wait_until(lambda: "No worker is running" in log.read_text(), 30)
            assert waiting.end(signal.SIGINT) == 130
        assert "The runs go on without you" in log.read_text()
        assert {run["status"] for run in home.json("status")["runs"]} == {"pending"}

    def test_fails_if_a_run_does(self, home: Home, zoho: str) -> None:
        """Wrong credentials end the runs as failed; the reason is told, and the exit code is 1."""
        assert zoho
        home.environment["TDS_ZOHO_CLIENT_SECRET"] = "wrong"
        with home.started("worker") as worker:
            worker.wait_for(lambda line: "at work" in line)
            done = home.run("sync", "run", "zoho", "-e", "product", "--wait")
            assert done.returncode == 1
            assert re.search(r"product +failed: .*TDS_ZOHO_CLIENT_SECRET", done.stdout)
            assert worker.end(signal.SIGTERM) == 0
