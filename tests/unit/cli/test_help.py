"""The command line answers at once, and says what it can do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.unit.cli.conftest import Tds

HEAVY = {
    "alembic",
    "asyncpg",
    "fastapi",
    "httpx2",
    "pydantic",
    "pydantic_settings",
    "sqlalchemy",
    "starlette",
    "uvicorn",
}
COMMANDS = [
    ["serve"],
    ["worker"],
    ["sync", "run"],
    ["status"],
    ["show"],
    ["sync", "list"],
    ["sync", "show"],
    ["sync", "cancel"],
    ["sync", "resume"],
    ["pause"],
    ["resume"],
    ["pauses"],
    ["job", "list"],
    ["job", "show"],
    ["job", "cancel"],
    ["dead-letter", "list"],
    ["dead-letter", "groups"],
    ["dead-letter", "show"],
    ["dead-letter", "edit"],
    ["dead-letter", "dry-run"],
    ["dead-letter", "reprocess"],
    ["dead-letter", "resolve"],
    ["db", "upgrade"],
    ["db", "status"],
    ["token", "create"],
    ["token", "list"],
    ["token", "revoke"],
    ["sandbox", "zoho"],
    ["demo"],
]


class TestHelp:
    """``tds --help``."""

    def test_loads_nothing_heavy(self) -> None:
        """Neither the database's nor the web server's libraries are imported for it."""
        command = [sys.executable, "-X", "importtime", "-m", "app.cli", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert "typer" in loaded
        assert not loaded & HEAVY

    def test_takes_less_than_half_a_second(self) -> None:
        """The whole process needs less than half a second of a processor, the best of three."""
        assert min(_processor_seconds() for _ in range(3)) < 0.5

    @pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
    def test_shows_examples(self, tds: Tds, command: list[str]) -> None:
        """Each command's help has an example that begins with the command itself."""
        result = tds(*command, "--help")
        assert result.exit_code == 0
        assert "Example" in result.stdout
        assert f"tds {' '.join(command)}" in result.stdout.split("Example")[1]


class TestVersion:
    """``tds --version``."""

    def test_prints_one_line(self, tds: Tds) -> None:
        """The program's name and version, and nothing else."""
        result = tds("--version")
        assert result.exit_code == 0
        assert result.stdout.startswith("tds 2.")
        assert result.stdout.count("\n") == 1


def _processor_seconds() -> float:
    before = os.times()
    subprocess.run([sys.executable, "-m", "app.cli", "--help"], capture_output=True, check=True, timeout=60)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system
