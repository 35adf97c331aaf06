"""How long it took to recover, told from when changes were made and when they were applied."""

from __future__ import annotations

import pytest

from tests.faults.promises.recovery import Timed, seconds_to_recover


def _steady(first: float, last: float, *, every: float = 0.05, latency: float = 0.1) -> list[Timed]:
    count = int((last - first) / every)
    return [Timed(first + number * every, first + number * every + latency) for number in range(count)]


class TestSecondsToRecover:
    """The moment from which on the rate is back, or nothing waits."""

    def test_is_nothing_where_the_fault_was_not_felt(self) -> None:
        """A stream that never falters has recovered at once."""
        assert seconds_to_recover(_steady(0, 10), began=3, ended=5) == 0

    def test_lasts_until_what_waited_is_applied(self) -> None:
        """Changes made during the fault that are applied three seconds after its end count until then."""
        waited = [Timed(3 + number * 0.05, 8.0) for number in range(40)]
        timed = [*_steady(0, 3), *waited, *_steady(8, 10)]
        assert seconds_to_recover(timed, began=3, ended=5) == pytest.approx(3.0, abs=0.2)

    def test_counts_a_relapse(self) -> None:
        """A rate that comes back and breaks down again has not come back for good."""
        timed = [*_steady(0, 6), *(Timed(6 + number * 0.05, 9.5) for number in range(60)), *_steady(9.5, 11)]
        assert seconds_to_recover(timed, began=3, ended=5) == pytest.approx(4.5, abs=0.2)

    def test_does_not_mind_a_source_that_falls_silent(self) -> None:
        """Where nothing waits there is no rate to keep."""
        assert seconds_to_recover(_steady(0, 5), began=3, ended=5) == 0

    def test_does_not_mind_a_burst_after_the_stream(self) -> None:
        """What the source sends again late, all at once, and is applied at once, was never kept waiting here."""
        burst = [Timed(12.0, 12.0 + number * 0.01) for number in range(20)]
        assert seconds_to_recover([*_steady(0, 8), *burst], began=3, ended=5) == 0

    def test_is_nothing_without_changes(self) -> None:
        """A round whose webhooks were all held back says nothing."""
        assert seconds_to_recover([], began=3, ended=5) == 0
