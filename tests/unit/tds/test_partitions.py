"""Bounds of monthly partitions."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.core.ids import created_at_of, lower_bound, new_id
from app.core.partitions import (
    PARTITIONED,
    _first_of,  # pyright: ignore[reportPrivateUsage] - the calendar is worth a test of its own
    _statements,  # pyright: ignore[reportPrivateUsage]
)

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware by timezones


class TestFirstOf:
    """The first moment of a month."""

    @given(MOMENTS, st.integers(-30, 30))
    def test_moves_by_whole_months(self, moment: datetime, months: int) -> None:
        """Across years, in both directions."""
        first = _first_of(moment, months)
        assert (first.day, first.hour, first.tzinfo) == (1, 0, UTC)
        assert first.year * 12 + first.month == moment.year * 12 + moment.month + months


class TestLowerBound:
    """The smallest id of a moment."""

    @given(MOMENTS)
    def test_holds_the_moment_to_the_millisecond(self, moment: datetime) -> None:
        """An id made in that millisecond is not below it, one made before is."""
        exact = moment - timedelta(microseconds=moment.microsecond % 1_000)
        assert created_at_of(lower_bound(moment)) == exact

    def test_lies_below_ids_made_now(self) -> None:
        """Ids of this month fall into this month's partition."""
        now = datetime.now(UTC)
        assert lower_bound(_first_of(now, 0)) <= new_id() < lower_bound(_first_of(now, 1))


class TestStatements:
    """What is made."""

    @given(MOMENTS)
    def test_makes_a_default_and_months_without_gaps(self, moment: datetime) -> None:
        """Each partition begins where the one before ends."""
        for table in PARTITIONED:
            (default,), *months = _statements(table, set(), moment, 2)
            assert default.startswith(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
            bounds = [sqls[-1].split("'")[1::2] for sqls in months]
            assert len(bounds) == 4
            assert all(end == start for (_, end), (start, _) in itertools.pairwise(bounds))

    def test_makes_only_what_is_missing(self) -> None:
        """What exists is left alone."""
        now = datetime(2026, 12, 15, tzinfo=UTC)
        existing = {"event_log_default", "event_log_2026_11", "event_log_2026_12", "event_log_2027_02"}
        (made,) = _statements("event_log", existing, now, 2)
        assert "ATTACH PARTITION event_log_2027_01 " in made[-1]
