"""A process whose clock is off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.core import clock, ids
from app.core.ids import created_at_of
from tests.faults.node import skew_clock


@pytest.fixture
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "utc_now", clock.utc_now)
    monkeypatch.setattr(ids, "new_id", ids.new_id)


@pytest.mark.usefixtures("_restored")
class TestSkewClock:
    """What is off with it."""

    @pytest.mark.parametrize("seconds", [-600, 600])
    def test_moves_the_time_and_the_ids(self, seconds: float) -> None:
        """Both sources of time in the application are off by as much."""
        skew_clock(seconds)
        expected = datetime.now(UTC) + timedelta(seconds=seconds)
        assert abs(clock.utc_now() - expected) < timedelta(seconds=5)
        assert abs(created_at_of(ids.new_id()) - expected) < timedelta(seconds=5)

    def test_keeps_ids_apart(self) -> None:
        """Ids of one moment still differ."""
        skew_clock(-60)
        assert len({ids.new_id() for _ in range(1_000)}) == 1_000
