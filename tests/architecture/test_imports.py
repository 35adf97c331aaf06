"""The floors hold: each import contract is seen to refuse what it forbids.

A copy of the program is linted as it stands, and again with one forbidden import planted for every floor and every
rule. A guard that was never seen refusing is no guard.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

# Contract -> imports it must refuse, as (importer, imported). Each importer is planted as a module of that name.
FORBIDDEN = {
    "floors": [
        ("app.core.planted", "app.erp"),
        ("app.core.planted", "app.tds.types"),
        ("app.erp.planted", "app.tds.types"),
        ("app.tds.core.planted", "app.bff"),
        ("app.tds.workers.planted", "app.bootstrap"),
        ("app.bff.planted", "app.dashboard"),
        ("app.bff.planted", "app.migrations"),
        ("app.dashboard.planted", "app.bootstrap"),
        ("app.dashboard.planted", "app.migrations"),
        ("app.bootstrap.planted", "app.cli"),
        ("app.bootstrap.planted", "app.main"),
        ("app.main.planted", "app.cli"),
    ],
    "tds-floors": [
        ("app.tds.types.planted", "app.tds.states"),
        ("app.tds.states.planted", "app.tds.models"),
        ("app.tds.documents.planted", "app.tds.models"),
        ("app.tds.documents.planted", "app.tds.core.ports"),
        ("app.tds.models.planted", "app.tds.core.ports"),
        ("app.tds.core.planted", "app.tds.sources"),
        ("app.tds.core.planted", "app.tds.targets"),
        ("app.tds.sources.planted", "app.tds.targets"),
        ("app.tds.handlers.planted", "app.tds.sources"),
        ("app.tds.targets.planted", "app.tds.workers"),
        ("app.tds.workers.planted", "app.tds.api"),
        ("app.tds.api.planted", "app.tds.monitoring"),
    ],
    "public-face": [("app.tds.core.planted", "app.tds"), ("app.tds.api.planted", "app.tds")],
    "erp-writers": [
        ("app.tds.core.planted", "app.erp"),
        ("app.tds.workers.planted", "app.erp"),
        ("app.bff.planted", "app.erp"),
    ],
    "sandbox-alone": [("app.sandbox.planted", "app.core.ids"), ("app.sandbox.planted", "app.tds.types")],
    "sandbox-unused": [("app.tds.sources.planted", "app.sandbox"), ("app.bootstrap.planted", "app.sandbox")],
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the program and its contracts."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _package(house: Path, name: str) -> Path:
    """The folder of package ``name``; a module of that name is turned into one, and a missing one is made."""
    folder = house.joinpath(*name.split("."))
    folder.mkdir(parents=True, exist_ok=True)
    if (module := folder.with_suffix(".py")).exists():
        module.rename(folder / "__init__.py")
    (folder / "__init__.py").touch()
    return folder


def _plant(house: Path, importer: str, imported: str) -> None:
    package, _, module = importer.rpartition(".")
    if not house.joinpath(*imported.split(".")).with_suffix(".py").exists():
        _package(house, imported)
    with (_package(house, package) / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"import {imported}\n")


def _lint(house: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--no-cache", "--no-logo", *options], cwd=house, capture_output=True, text=True, check=False, timeout=60
    )


class TestContracts:
    """The contracts of pyproject.toml."""

    def test_accept_the_program_as_it_stands(self, house: Path) -> None:
        """Without a planted import the copy is accepted."""
        result = _lint(house)
        assert result.returncode == 0, result.stdout

    @pytest.mark.parametrize("contract", FORBIDDEN)
    def test_refuse_a_planted_import(self, house: Path, contract: str) -> None:
        """Each import that a contract forbids is refused by that contract, and named."""
        for importer, imported in FORBIDDEN[contract]:
            _plant(house, importer, imported)
        result = _lint(house, "--contract", contract)
        assert result.returncode == 1, result.stdout
        missing = [pair for pair in FORBIDDEN[contract] if f"{pair[0]} -> {pair[1]} " not in result.stdout]
        assert not missing, result.stdout

    @pytest.mark.parametrize("package", ["app.misc", "app.tds.misc"])
    def test_refuse_a_package_without_a_floor(self, house: Path, package: str) -> None:
        """Whoever adds a package must say where it stands."""
        _package(house, package)
        result = _lint(house)
        assert result.returncode == 1, result.stdout
        assert package in result.stdout

    def test_are_all_seen_refusing(self) -> None:
        """A contract that is added to pyproject.toml is planted here too."""
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        assert {c["id"] for c in settings["tool"]["importlinter"]["contracts"]} == set(FORBIDDEN)
