"""From a finding and an alert's state to what happens: fire once, keep, resolve with hysteresis. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.tds.monitoring.rules import Finding

__all__ = ["Decision", "State", "decide"]

Action: TypeAlias = Literal["nothing", "fire", "keep", "end"]


@dataclass(frozen=True, slots=True)
class State:
    """An alert that is active, or that a person resolved while it was not over (muted); how often in a row it was
    found to be over. It stands in the alert's row, so that whoever leads next goes on from it.
    """

    calm_rounds: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and the state that follows."""

    action: Action
    state: State | None = None


def decide(finding: Finding | None, state: State | None, *, rounds: int) -> Decision:
    """What becomes of one rule and subject. No finding at all means that there is nothing left to find fault with.

    An alert ends after ``rounds`` calm findings in a row; one that is not calm begins the count anew.
    """
    if state is None:
        return Decision("fire", State()) if finding is not None and finding.breached else Decision("nothing")
    if finding is not None and not finding.calm:
        return Decision("keep", State())
    calm = state.calm_rounds + 1
    return Decision("end") if calm >= rounds else Decision("keep", State(calm))
