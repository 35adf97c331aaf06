"""The campaign bites: a build that breaks a promise is caught, and a clean one is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.node import SABOTAGE_VARIABLE
from tests.faults.sabotage import SABOTAGES

ROOT = Path(__file__).absolute().parents[2]
EXPOSED_BY = {
    "skip-lease-check": ("zombie-worker", ("P2", "P5")),
    "skip-version-guard": ("terminate-backends", ("P3",)),
    "finish-outside-transaction": ("kill-worker", ("P2",)),
    "redo-after-error": ("frozen-commit", ("P2",)),
    "ack-before-commit": ("kill-server", ("P1",)),
}
"""Which fault brings each sabotage to light, and the promises of which at least one is then seen broken."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a campaign ended: exit status, rounds and violations, and all that it told a person."""

    status: int
    rounds: int
    violations: int
    told: str


def _campaign(*arguments: str, sabotage: str | None = None) -> Ended:
    environment = {**os.environ, **({SABOTAGE_VARIABLE: sabotage} if sabotage else {})}
    command = [sys.executable, "-m", "tests.faults", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    summary = json.loads(done.stdout)
    return Ended(done.returncode, summary["rounds"], summary["violations"], done.stderr)


class TestCampaign:
    """What it says of which build."""

    @pytest.mark.parametrize("sabotage", sorted(SABOTAGES))
    def test_catches_a_sabotaged_build(self, sabotage: str) -> None:
        """Within twenty rounds the broken promise is named, with the seed and a timeline."""
        fault, promises = EXPOSED_BY[sabotage]
        ended = _campaign("--seed", "1", "--rounds", "20", "--fault", fault, sabotage=sabotage)
        assert ended.status == 1, ended.told
        assert ended.violations > 0
        assert any(f"  {promise}: " in ended.told for promise in promises), ended.told
        assert f"again: .venv/bin/python -m tests.faults --seed 1 --rounds {ended.rounds} --fault {fault}" in ended.told

    def test_lets_a_clean_build_pass(self) -> None:
        """The same application without a sabotage keeps every promise."""
        ended = _campaign("--seed", "1", "--rounds", "3")
        assert (ended.status, ended.rounds, ended.violations) == (0, 3, 0), ended.told
