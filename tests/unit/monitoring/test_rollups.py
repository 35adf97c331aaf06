"""What counts as what, and how sums behave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.tds.core.outcomes import Dead, Defer, Done, GiveBack, Retry
from app.tds.core.rollups import BOUNDS_MS, tally
from app.tds.models.monitoring import TDSMetric
from app.tds.monitoring.figures import Sums
from app.tds.monitoring.rates import midnight
from app.tds.types import Outcome
from tests.support.pipeline import TIME, claimed


class TestTally:
    """Ends of a batch, by entity type."""

    def test_counts_each_end_as_what_it_is(self) -> None:
        """What was deferred or given back has not been tried."""
        ends = [
            (claimed(), Done(Outcome.CREATED, "1")),
            (claimed(), Done(Outcome.DELETED, "1")),
            (claimed(), Done(Outcome.UNCHANGED)),
            (claimed(), Retry(TIME, "x", "x")),
            (claimed(), Dead("x", "x")),
            (claimed(), Defer(TIME, "x", "x")),
            (claimed(), GiveBack()),
            (claimed(entity_type="customer"), Dead("x", "x")),
        ]
        product, customer = (tally(ends, TIME)[name] for name in ("product", "customer"))
        assert (product.succeeded, product.retried, product.dead) == (3, 1, 1)
        assert (product.created, product.deleted) == (1, 1)
        assert (customer.succeeded, customer.retried, customer.dead) == (0, 0, 1)

    def test_is_empty_where_nothing_was_tried(self) -> None:
        """No row, no statement."""
        assert not tally([(claimed(), GiveBack())], TIME)

    def test_counts_words_that_are_no_entity_type_together(self) -> None:
        """Whoever sends a new word each time makes no new row each time."""
        ends = [(claimed(entity_type=f"word{n}"), Dead("x", "x")) for n in range(50)]
        assert {name: one.dead for name, one in tally(ends, TIME).items()} == {"unknown": 50}

    def test_takes_the_time_from_receipt(self) -> None:
        """In milliseconds, into buckets whose bounds belong to the lower one; a clock that is behind takes none."""
        after = [timedelta(seconds=-5), timedelta(milliseconds=10), timedelta(milliseconds=11), timedelta(hours=2)]
        ends = [(claimed(received_at=TIME - one), Done(Outcome.UPDATED, "1")) for one in after]
        one = tally(ends, TIME)["product"]
        assert one.latency_counts == [2, 1, *[0] * 11, 1]
        assert one.latency_max_ms == 7_200_000
        assert one.latency_sum_ms == pytest.approx(7_200_021)

    def test_keeps_the_newest_change_of_the_source(self) -> None:
        """A change without a time tells nothing."""
        times = [TIME, TIME + timedelta(minutes=2), None, TIME + timedelta(minutes=1)]
        ends = [(claimed(version_time=one), Done(Outcome.UPDATED, "1")) for one in times]
        assert tally(ends, TIME)["product"].newest_change_at == TIME + timedelta(minutes=2)

    def test_has_as_many_buckets_as_the_table_demands(self) -> None:
        """One for each bound, and one above."""
        assert len(BOUNDS_MS) + 1 == 14
        assert list(BOUNDS_MS) == sorted(set(BOUNDS_MS))
        assert any("= 14" in str(getattr(one, "sqltext", "")) for one in TDSMetric.__table__.constraints)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownArgumentType, reportUnknownMemberType]


class TestSums:
    """Rollups added up."""

    def test_add_up(self) -> None:
        """Counts are added, the longest stays the longest."""
        one = Sums(processed=3, succeeded=2, failed=1, dead=1, latency_max_ms=5, latency_counts=[1] * 14)
        two = Sums(processed=1, succeeded=1, latency_max_ms=9, latency_counts=[2] * 14)
        both = one + two
        assert (both.processed, both.succeeded, both.failed, both.dead) == (4, 3, 1, 1)
        assert (both.latency_max_ms, both.latency_counts) == (9, [3] * 14)

    def test_rates_of_nothing(self) -> None:
        """Nothing failed, and all that there was succeeded."""
        assert (Sums().error_rate, Sums().success_rate, Sums().average_ms, Sums().quantile_ms(0.95)) == (0, 100, 0, 0)

    def test_rates(self) -> None:
        """In per cent."""
        one = Sums(processed=8, succeeded=6, failed=2, retried=2, latency_sum_ms=60)
        assert (one.error_rate, one.success_rate, one.average_ms) == (25.0, 75.0, 10.0)

    def test_quantiles_lie_within_their_bucket(self) -> None:
        """And never above the longest."""
        one = Sums(succeeded=10, latency_max_ms=40, latency_counts=[5, 5, *[0] * 12])
        assert one.quantile_ms(0.5) == 10
        assert 10 < one.quantile_ms(0.75) <= 40
        assert one.quantile_ms(1.0) == 40


class TestMidnight:
    """Where a day begins."""

    @pytest.mark.parametrize(
        ("now", "zone", "expected"),
        [
            (datetime(2026, 3, 1, 20, 59, tzinfo=UTC), "Asia/Baghdad", datetime(2026, 2, 28, 21, tzinfo=UTC)),
            (datetime(2026, 3, 1, 21, tzinfo=UTC), "Asia/Baghdad", datetime(2026, 3, 1, 21, tzinfo=UTC)),
            (datetime(2026, 3, 1, 18, 31, tzinfo=UTC), "Asia/Kolkata", datetime(2026, 3, 1, 18, 30, tzinfo=UTC)),
            (datetime(2026, 3, 29, 12, tzinfo=UTC), "Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC)),
            (datetime(2026, 3, 30, 12, tzinfo=UTC), "Europe/Berlin", datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ],
    )
    def test_is_the_last_local_one(self, now: datetime, zone: str, expected: datetime) -> None:
        """Half hours and summer time included."""
        assert midnight(now, ZoneInfo(zone)) == expected
