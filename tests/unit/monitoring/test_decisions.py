"""From a finding and an alert's state to what happens."""

from __future__ import annotations

from app.tds.monitoring.decisions import Decision, State, decide
from app.tds.monitoring.rules import Finding, Rule


def finding(*, breached: bool = False, calm: bool = False) -> Finding:
    """What a rule says; neither breached nor calm is the space between."""
    return Finding(
        rule=Rule.QUEUE_BACKLOG,
        subject="",
        severity="error",
        title="t",
        message="m",
        value=1,
        threshold=1,
        breached=breached,
        calm=calm,
    )


class TestDecide:
    """Fire once, keep, resolve with hysteresis."""

    def test_fires_where_none_is_active(self) -> None:
        """And only if the threshold is passed."""
        assert decide(finding(breached=True), None, rounds=2).action == "fire"
        assert decide(finding(), None, rounds=2).action == "nothing"
        assert decide(finding(calm=True), None, rounds=2).action == "nothing"
        assert decide(None, None, rounds=2).action == "nothing"

    def test_does_not_fire_again_while_active(self) -> None:
        """However often it is found."""
        assert decide(finding(breached=True), State(), rounds=2) == Decision("keep", State())

    def test_ends_only_after_so_many_calm_rounds_in_a_row(self) -> None:
        """The first one is counted, the second ends it."""
        first = decide(finding(calm=True), State(), rounds=2)
        assert first == Decision("keep", State(1))
        assert decide(finding(calm=True), first.state, rounds=2).action == "end"

    def test_begins_to_count_anew_when_it_is_not_calm(self) -> None:
        """Between the two marks as well as above the upper one."""
        assert decide(finding(), State(1), rounds=2) == Decision("keep", State(0))
        assert decide(finding(breached=True), State(1), rounds=2) == Decision("keep", State(0))

    def test_takes_a_subject_that_is_gone_as_calm(self) -> None:
        """There is nothing left to find fault with."""
        assert decide(None, State(), rounds=2) == Decision("keep", State(1))
        assert decide(None, State(1), rounds=2).action == "end"

    def test_ends_at_once_if_one_round_is_enough(self) -> None:
        """The least setting."""
        assert decide(finding(calm=True), State(), rounds=1).action == "end"
