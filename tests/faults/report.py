"""What a campaign tells: a line a round, a table at the end, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.promises.evidence import Violation

__all__ = ["RoundResult", "Summary", "summarise"]


@dataclass(frozen=True, slots=True)
class RoundResult:
    """One round: its number from 1, its faults, how long it took, and what was found."""

    number: int
    faults: tuple[str, ...]
    seconds: float
    changes: int
    recovery: float | None
    violations: Sequence[Violation] = field(default_factory=list[Violation])
    notes: Sequence[str] = field(default_factory=list[str])

    @property
    def name(self) -> str:
        """The fault it is counted under."""
        return self.faults[0]

    def line(self, rounds: int) -> str:
        """In one line."""
        recovery = "not recovered" if self.recovery is None else f"recovered in {self.recovery:.1f} s"
        verdict = "ok" if not self.violations else f"{len(self.violations)} VIOLATIONS"
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        return (
            f"round {self.number}/{rounds} {' + '.join(self.faults)}: {verdict}, {self.changes} changes, {recovery}, "
            f"{self.seconds:.1f} s{notes}"
        )


@dataclass(frozen=True, slots=True)
class FaultSummary:
    """The rounds of one fault; recovery in seconds."""

    fault: str
    rounds: int
    violations: int
    recovery_p50_s: float | None
    recovery_max_s: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole campaign."""

    rounds: int
    violations: int
    recovery_p50_s: float | None
    recovery_max_s: float | None
    by_fault: Sequence[FaultSummary]

    def to_json(self) -> str:
        """One JSON object."""
        faults: dict[str, Any] = {
            one.fault: {
                "rounds": one.rounds,
                "violations": one.violations,
                "recovery_p50_s": one.recovery_p50_s,
                "recovery_max_s": one.recovery_max_s,
            }
            for one in self.by_fault
        }
        return json.dumps(
            {
                "rounds": self.rounds,
                "violations": self.violations,
                "recovery_p50_s": self.recovery_p50_s,
                "recovery_max_s": self.recovery_max_s,
                "by_fault": faults,
            }
        )

    def print(self, console: Console) -> None:
        """A table, a line a fault."""
        table = Table("fault", "rounds", "violations", "recovery p50 (s)", "recovery max (s)")
        for one in self.by_fault:
            table.add_row(*_cells(one.fault, one.rounds, one.violations, one.recovery_p50_s, one.recovery_max_s))
        table.add_section()
        table.add_row(*_cells("all", self.rounds, self.violations, self.recovery_p50_s, self.recovery_max_s))
        console.print(table)


def _cells(name: str, rounds: int, violations: int, p50: float | None, largest: float | None) -> list[str]:
    return [name, str(rounds), str(violations), *("-" if one is None else f"{one:.1f}" for one in (p50, largest))]


def summarise(results: Sequence[RoundResult]) -> Summary:
    """Count rounds by their first fault."""
    names = sorted({result.name for result in results})
    groups = {name: [result for result in results if result.name == name] for name in names}
    by_fault = [FaultSummary(name, len(group), _violations(group), *_recovery(group)) for name, group in groups.items()]
    return Summary(len(results), _violations(results), *_recovery(results), by_fault)


def _violations(results: Sequence[RoundResult]) -> int:
    return sum(len(result.violations) for result in results)


def _recovery(results: Sequence[RoundResult]) -> tuple[float | None, float | None]:
    known = [result.recovery for result in results if result.recovery is not None]
    return (round(median(known), 2), max(known)) if known else (None, None)
