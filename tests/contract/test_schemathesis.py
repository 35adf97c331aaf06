"""Schemathesis calls every operation of the OpenAPI document with what its schema allows, and with what it forbids.

Every check is on; `schemathesis.toml` says what besides the schema is a rule. The cases are the same in every run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.postgres import TestServer
from tests.support.served import populated, served
from tests.support.wire import TOKEN, Server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIGNED_IN = ("--header", f"Authorization: Bearer {TOKEN}", "--max-examples", "5")
NOT_SIGNED_IN = ("--phases", "examples,fuzzing", "--max-examples", "5")


@pytest.fixture
def server(database_server: TestServer, migrated_template: str, tmp_path: Path) -> Generator[Server]:
    """A server with something in it, whose event streams end at once: a client that reads to the end gets there."""
    quick = {"TDS_STREAM_LONGEST_SECONDS": "0.02"}
    with populated(database_server, migrated_template) as url, served(url, tmp_path, **quick) as server:
        yield server


def _run(server: Server, folder: Path, *arguments: str) -> tuple[int, str]:
    document = folder / "openapi.json"
    document.write_bytes(server.get("/openapi.json").body)
    command = (
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml"),
        *("run", document, "--url", f"http://127.0.0.1:{server.port}", "--checks", "all", "--no-color", *arguments),
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(600)
class TestSchemathesis:
    """What it finds."""

    @pytest.mark.parametrize("arguments", [SIGNED_IN, NOT_SIGNED_IN], ids=["signed in", "not signed in"])
    def test_finds_nothing(self, server: Server, tmp_path: Path, arguments: tuple[str, ...]) -> None:
        """No operation answers otherwise than it is described, and none crashes."""
        status, said = _run(server, tmp_path, *arguments)
        assert status == 0, said
        operations = len(re.findall(r'"operationId"', (tmp_path / "openapi.json").read_text(encoding="utf-8")))
        assert re.search(rf"Tested: {operations}\b", said), said
        server.assert_alive()
