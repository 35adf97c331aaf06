"""Percentiles, medians, ratios."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import median_ms, per, percentile, percentiles_ms, ratio

samples = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=200)
shares = st.floats(min_value=0.001, max_value=1)


class TestPercentile:
    """A sample that so many do not exceed."""

    def test_is_the_nearest_rank(self) -> None:
        """Of a hundred samples the 99th, not the 100th and nothing in between two."""
        ordered = [float(number) for number in range(1, 101)]
        assert [percentile(ordered, share) for share in (0.01, 0.5, 0.95, 0.99, 1.0)] == [1, 50, 95, 99, 100]

    def test_of_one_sample_is_that_sample(self) -> None:
        """Whatever the share."""
        assert percentile([7.0], 0.01) == percentile([7.0], 1.0) == 7.0

    @given(samples, shares)
    def test_covers_its_share_and_the_sample_below_does_not(self, found: list[float], share: float) -> None:
        """The definition, for any samples."""
        ordered = sorted(found)
        value = percentile(ordered, share)
        assert value in ordered
        assert sum(one <= value for one in ordered) >= share * len(ordered)
        assert sum(one < value for one in ordered) < share * len(ordered)

    @pytest.mark.parametrize(("found", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
    def test_refuses_what_has_no_percentile(self, found: list[float], share: float) -> None:
        """No samples, or a share that is none."""
        with pytest.raises(ValueError, match="samples and a share"):
            percentile(found, share)


class TestPercentilesMs:
    """The three that are told."""

    def test_sorts_and_turns_seconds_into_milliseconds(self) -> None:
        """Samples come in the order in which they were taken."""
        found = percentiles_ms([0.003, 0.001, 0.002], prefix="sent_")
        assert found == {"sent_p50_ms": 2.0, "sent_p95_ms": 3.0, "sent_p99_ms": 3.0}

    def test_without_samples_tells_nothing(self) -> None:
        """A case in which nothing happened is no case of 0 ms."""
        assert percentiles_ms([]) == {"p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_medians_and_ratios_are_rounded_and_survive_nothing() -> None:
    """What cannot be divided is None, and never an error at the end of a long run."""
    assert median_ms([0.001, 0.004, 0.002]) == 2.0
    assert ratio(1, 3) == 0.3333
    assert ratio(1, 0) is None
    assert per(10, 4) == 2.5
    assert per(None, 4) is per(10, 0) is None
