"""How times, spans and shares are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.bff.words import Stamp, duration_text, percentage, stamp_text


class Holder(BaseModel):
    """A view with a time."""

    at: Stamp | None


class TestDurationText:
    """Spans."""

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0s"),
            (0.9, "0s"),
            (45, "45s"),
            (60, "1m0s"),
            (330, "5m30s"),
            (3_599.99, "59m59s"),
            (3_600, "1h0m0s"),
            (3_723, "1h2m3s"),
            (360_000, "100h0m0s"),
            (-5, "0s"),
        ],
    )
    def test_is_written_as_the_spec_prints_it(self, seconds: float, text: str) -> None:
        """Whole seconds, and no unit in front that is nought; a clock that was set back makes no minus."""
        assert duration_text(timedelta(seconds=seconds)) == text


class TestStampText:
    """Moments."""

    def test_is_utc_to_the_whole_second(self) -> None:
        """Baghdad's one o'clock is ten in UTC, and its microseconds are gone."""
        baghdad = datetime(2025, 11, 5, 13, 0, 0, 999_999, timezone(timedelta(hours=3)))
        assert stamp_text(baghdad) == "2025-11-05T10:00:00Z"

    def test_is_what_a_view_writes(self) -> None:
        """In JSON only; in Python a time stays a time."""
        moment = datetime(2025, 11, 5, 10, 0, 0, 5, UTC)
        assert Holder(at=moment).model_dump_json() == '{"at":"2025-11-05T10:00:00Z"}'
        assert Holder(at=None).model_dump_json() == '{"at":null}'
        assert Holder(at=moment).model_dump() == {"at": moment}


class TestPercentage:
    """Shares."""

    @pytest.mark.parametrize(
        ("part", "whole", "share"),
        [(0, 4, 0.0), (1, 200, 0.5), (1, 3, 33.3), (1998, 2000, 99.9), (2000, 2000, 100.0), (5, 4, 100.0)],
    )
    def test_is_in_per_cent_to_one_decimal(self, part: int, whole: int, share: float) -> None:
        """Never more than all."""
        assert percentage(part, whole, of_nothing=0.0) == share

    def test_of_nothing_is_what_the_caller_says(self) -> None:
        """Nothing failed of nothing, and everything of it succeeded."""
        assert (percentage(0, 0, of_nothing=100.0), percentage(0, 0, of_nothing=0.0)) == (100.0, 0.0)

    @given(st.integers(1, 10**9), st.integers(1, 10**9))
    def test_hides_no_failure_and_no_success(self, good: int, bad: int) -> None:
        """However rare: one in a billion keeps it from reading 100.0, or 0.0."""
        assert 0.0 < percentage(good, good + bad, of_nothing=0.0) < 100.0
