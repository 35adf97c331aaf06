"""The demo proves that both sides are equal, and leaves no process however it ends."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Home

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SMALL = ("--products", "120", "--customers", "40")


def _is_change(line: str) -> bool:
    return re.match(r"\d\d:\d\d:\d\d .*● ", line) is not None


class TestOnce:
    """``tds demo --once``."""

    def test_syncs_and_proves_it(self, home: Home) -> None:
        """Every record is equal, nothing runs on, and what was made can be looked at."""
        done = home.run("demo", "--once", *SMALL)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        assert "120/120" in done.stdout
        assert "40/40" in done.stdout
        assert "● Both sides are equal: 160 records" in done.stdout
        home.assert_left()

        status = home.json("status")
        assert status["health"] == "healthy"
        assert {one["entity_type"]: one["synced"] for one in status["entities"]} == {"product": 120, "customer": 40}
        command = next(line.split() for line in done.stdout.splitlines() if "tds show product" in line)
        assert home.json(*command[1:])["row"]["sku"] == command[-1]
        home.assert_left()

    def test_can_be_played_again(self, home: Home) -> None:
        """A demo's own database is emptied: nothing of a larger company is left."""
        assert home.run("demo", "--once", "--products", "60", "--customers", "30").returncode == 0
        again = home.run("demo", "--once", "--products", "30", "--customers", "20")
        assert again.returncode == 0, again.stdout + again.stderr
        assert "30/30" in again.stdout
        assert "20/20" in again.stdout

    def test_tells_of_a_process_that_cannot_start(self, home: Home) -> None:
        """One line, exit 1, and the other process is ended."""
        home.environment["TDS_QUEUE_BATCH_SIZE"] = "0"
        done = home.run("demo", "--once", *SMALL)
        assert done.returncode == 1
        assert done.stderr.startswith("error: TDS_QUEUE_BATCH_SIZE")
        assert "Traceback" not in done.stderr
        home.assert_left()


class TestLive:
    """``tds demo``, which goes on."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ends_cleanly(self, home: Home, number: signal.Signals) -> None:
        """Changes arrive until a signal comes; then no process is left, at once."""
        with home.started("demo", *SMALL) as demo:
            demo.wait_for(_is_change)
            assert demo.end(number) == 0
        home.assert_left()
        assert "Traceback" not in (home.path / "demo.log").read_text()

    def test_leaves_nothing_when_it_is_killed(self, home: Home) -> None:
        """Its children notice within seconds, end in order, and the database with them."""
        with home.started("demo", *SMALL) as demo:
            demo.wait_for(_is_change)
            assert len(home.processes()) > 3
            assert demo.end(signal.SIGKILL) == -signal.SIGKILL
        home.assert_left(30)

    @pytest.mark.parametrize("part", ["serve", "sandbox"])
    def test_ends_when_one_of_its_processes_does(self, home: Home, part: str) -> None:
        """Which one is said, and nothing is left."""
        with home.started("demo", *SMALL) as demo:
            demo.wait_for(_is_change)
            _one(home, lambda command: part in command).kill()
            demo.output.read()
            assert demo.process.wait(timeout=60) == 1
        home.assert_left()
        told = (home.path / "demo.log").read_text()
        assert told.startswith(f"error: the {'server' if part == 'serve' else part} has ended with code -9")

    def test_ends_cleanly_in_mid_sync(self, home: Home) -> None:
        """Before there is anything to show, Ctrl-C is a cancelled command: exit 130."""
        with home.started("demo", *SMALL) as demo:
            demo.wait_for(lambda line: line.startswith("Database"))
            assert demo.end(signal.SIGINT) in {0, 130}  # 0 where the small sync was quicker
        home.assert_left()


def _one(home: Home, is_it: Callable[[list[str]], bool]):  # noqa: ANN202 - psutil's process
    (found,) = [process for process in home.processes() if is_it(process.cmdline())]
    return found
