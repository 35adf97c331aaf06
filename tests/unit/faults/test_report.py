"""What a campaign tells at its end."""

from __future__ import annotations

import io
import json

from rich.console import Console

from tests.faults.promises.evidence import Violation
from tests.faults.report import RoundResult, summarise

RESULTS = [
    RoundResult(1, ("tcp-cut",), 9.0, 200, 1.0),
    RoundResult(2, ("tcp-cut", "held-snapshot"), 9.0, 200, 3.0),
    RoundResult(3, ("kill-server",), 9.0, 200, None, [Violation("P1", "lost")], ["killed it"]),
]


class TestSummarise:
    """Counting."""

    def test_counts_rounds_by_their_first_fault(self) -> None:
        """A second fault is not counted."""
        summary = summarise(RESULTS)
        assert [(one.fault, one.rounds, one.violations) for one in summary.by_fault] == [
            ("kill-server", 1, 1),
            ("tcp-cut", 2, 0),
        ]

    def test_takes_median_and_maximum_of_the_known_recoveries(self) -> None:
        """A round that did not recover has no number."""
        summary = summarise(RESULTS)
        assert (summary.recovery_p50_s, summary.recovery_max_s) == (2.0, 3.0)


class TestSummary:
    """Telling."""

    def test_is_one_json_object(self) -> None:
        """With the keys that scripts read."""
        told = json.loads(summarise(RESULTS).to_json())
        assert set(told) == {"rounds", "violations", "recovery_p50_s", "recovery_max_s", "by_fault"}
        assert told["by_fault"]["kill-server"]["recovery_max_s"] is None

    def test_is_a_table_with_a_line_for_each_fault_and_one_for_all(self) -> None:
        """What a person reads."""
        console = Console(file=io.StringIO(), width=100)
        summarise(RESULTS).print(console)
        assert isinstance(console.file, io.StringIO)
        told = console.file.getvalue()
        assert all(name in told for name in ("kill-server", "tcp-cut", "all"))


class TestRoundResult:
    """A line."""

    def test_names_faults_verdict_and_notes(self) -> None:
        """All that a person wants to know while it runs."""
        line = RESULTS[2].line(18)
        assert line == "round 3/18 kill-server: 1 VIOLATIONS, 200 changes, not recovered, 9.0 s (killed it)"
