"""How often the monitor does what takes long."""

from __future__ import annotations

import pytest

from app.tds.monitoring.pace import Pace
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    """The test's own."""
    return Clock()


def take(pace: Pace, clock: Clock, seconds: float, error: Exception | None = None) -> None:
    """Do it, in so much time."""
    assert pace.due
    with pace.taking():
        clock.now += seconds
        if error is not None:
            raise error


def waits(pace: Pace, clock: Clock) -> float:
    """The seconds until it is due."""
    began = clock.now
    while not pace.due:
        clock.now += 0.5
    return clock.now - began


class TestPace:
    """From one beginning to the next."""

    def test_is_steady_while_it_takes_little(self, clock: Clock) -> None:
        """Every so many seconds."""
        pace = Pace(seconds=10, rest=20, clock=clock)
        take(pace, clock, 0.5)
        assert waits(pace, clock) == 9.5

    def test_rests_after_what_took_long(self, clock: Clock) -> None:
        """Twenty times as long; and not any longer once it is quick again."""
        pace = Pace(seconds=10, rest=20, clock=clock)
        take(pace, clock, 3)
        assert waits(pace, clock) == 57
        take(pace, clock, 0.5)
        assert waits(pace, clock) == 9.5

    def test_needs_no_rest_while_it_is_quick(self, clock: Clock) -> None:
        """It is due whenever it is asked for."""
        pace = Pace(rest=20, quick=1, clock=clock)
        take(pace, clock, 1)
        assert pace.due
        take(pace, clock, 1.5)
        assert waits(pace, clock) == 28.5

    def test_what_fails_is_tried_again(self, clock: Clock) -> None:
        """However long it took."""
        pace = Pace(seconds=10, rest=20, clock=clock)
        with pytest.raises(RuntimeError, match="broken"):
            take(pace, clock, 3, RuntimeError("broken"))
        assert waits(pace, clock) == 7
