"""Which errors are worth another try, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.core.config import RetrySettings
from app.core.errors import InvalidError
from app.tds.core.errors import FieldError, MappingError, SourceThrottledError, SourceUnavailableError
from app.tds.core.outcomes import Dead, Defer, End, Retry
from app.tds.core.retry import ErrorClass, RetryPolicy, classify, decide, is_batch_error
from tests.support.pipeline import TIME

POLICY = RetryPolicy(max_attempts=3, base=60, cap=480, jitter=0.1)


class DriverError(Exception):
    """What a driver raises."""

    def __init__(self, text: str, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate
        super().__init__(text)


def database_error(sqlstate: str | None, text: str = "no", kind: type[DBAPIError] = DBAPIError) -> DBAPIError:
    """An error as SQLAlchemy wraps it."""
    return kind("SELECT 1", {}, DriverError(text, sqlstate))


def decided(error: Exception, attempts: int = 0) -> End:
    """What becomes of an item, with a coin that always shows the middle."""
    return decide(POLICY, attempts, error, now=TIME, random=lambda: 0.5)


class TestDelay:
    """Exponential backoff."""

    @pytest.mark.parametrize(("attempt", "seconds"), [(1, 60), (2, 120), (3, 240), (4, 480), (5, 480), (900, 480)])
    def test_doubles_up_to_the_cap(self, attempt: int, seconds: float) -> None:
        """1, 2, 4, 8 minutes, and then no more."""
        assert POLICY.delay(attempt, lambda: 0.5) == timedelta(seconds=seconds)

    @given(st.integers(1, 1_000), st.floats(0, 1, exclude_max=True))
    def test_is_spread_by_no_more_than_the_jitter(self, attempt: int, chance: float) -> None:
        """A tenth around the wait, whatever the coin says."""
        middle = min(480.0, 60 * 2.0 ** (attempt - 1))
        assert 0.9 * middle - 0.001 <= POLICY.delay(attempt, lambda: chance).total_seconds() <= 1.1 * middle + 0.001

    def test_takes_as_many_attempts_as_the_settings_allow(self) -> None:
        """The hundredth attempt of the longest policy has a delay too."""
        longest = RetryPolicy.of(RetrySettings(max_attempts=100, base_seconds=1, cap_seconds=86_400, jitter=0))
        assert longest.delay(100, lambda: 0.5) == timedelta(days=1)


class TestClassify:
    """What an error says about trying again."""

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (SourceThrottledError(retry_after=1), ErrorClass.THROTTLED),
            (SourceUnavailableError(), ErrorClass.TRANSIENT),
            (InvalidError(), ErrorClass.PERMANENT),
            (MappingError([FieldError("a", "b", "c")]), ErrorClass.PERMANENT),
            (IntegrityError("", {}, DriverError("check", "23514")), ErrorClass.PERMANENT),
            (database_error("22003"), ErrorClass.PERMANENT),
            (database_error("23505"), ErrorClass.PERMANENT),
            (database_error("40P01"), ErrorClass.TRANSIENT),
            (database_error(None), ErrorClass.TRANSIENT),
            (RuntimeError(), ErrorClass.TRANSIENT),
            (ExceptionGroup("many", [ValueError()]), ErrorClass.TRANSIENT),
        ],
    )
    def test_knows_throttled_permanent_and_transient(self, error: Exception, expected: ErrorClass) -> None:
        """What the local rules refuse is permanent; what is not known is tried again."""
        assert classify(error) is expected


class TestIsBatchError:
    """Whether splitting a batch would help."""

    @pytest.mark.parametrize(
        "error",
        [
            database_error("08006"),
            database_error("40P01"),
            database_error("40001"),
            database_error("53300"),
            database_error("55P03"),
            database_error("57P01"),
            database_error(None, kind=OperationalError),
            PoolTimeoutError("full"),
            DBAPIError("", {}, DriverError("x", "23514"), connection_invalidated=True),
        ],
    )
    def test_knows_errors_of_the_connection_and_the_transaction(self, error: Exception) -> None:
        """They concern every item alike."""
        assert is_batch_error(error)

    @pytest.mark.parametrize(
        "error",
        [
            database_error("22001"),
            database_error("23514"),
            database_error("P0001"),
            ValueError(),
            database_error("54000"),
        ],
    )
    def test_leaves_errors_of_one_item_to_the_item(self, error: Exception) -> None:
        """A value, a rule, a bug: the others have nothing to do with it."""
        assert not is_batch_error(error)


class TestDecide:
    """What becomes of an item whose handler failed."""

    def test_tries_again_until_the_attempts_are_spent(self) -> None:
        """Three attempts: two retries, and then a dead letter."""
        ends = [decided(RuntimeError("no"), attempts) for attempts in range(3)]
        assert [type(end) for end in ends] == [Retry, Retry, Dead]
        assert [end.at - TIME for end in ends if isinstance(end, Retry)] == [timedelta(minutes=1), timedelta(minutes=2)]

    def test_gives_up_at_once_what_breaks_a_rule(self) -> None:
        """Another attempt would only fail again."""
        end = decided(database_error("23514", "violates check"))
        assert isinstance(end, Dead)
        assert (end.code, end.reason, end.spent) == ("23514", "violates check", 1)

    def test_defers_what_is_throttled_and_spends_nothing(self) -> None:
        """P8, whatever was spent before; the source says how long."""
        end = decided(SourceThrottledError(retry_after=7), attempts=99)
        assert isinstance(end, Defer)
        assert end.until == TIME + timedelta(seconds=7)

    def test_names_fields_of_a_mapping_error(self) -> None:
        """Every error, and the reason as its code."""
        error = FieldError("price", "is no number", "decimal")
        end = decided(MappingError([error], code="invalid"))
        assert isinstance(end, Dead)
        assert (end.code, list(end.errors)) == ("invalid", [error])

    @pytest.mark.parametrize("text", ["", "\n", "   "])
    def test_names_an_error_without_a_text_by_its_class(self, text: str) -> None:
        """A reason is never empty."""
        end = decided(RuntimeError(text))
        assert isinstance(end, Retry)
        assert end.reason == "RuntimeError"

    @pytest.mark.parametrize("text", ["nul \x00", "half a pair \ud83d"])
    def test_gives_only_texts_that_a_database_takes(self, text: str) -> None:
        """P6: a dead letter that cannot be written would keep its whole batch from being committed."""
        end = decided(RuntimeError(text), attempts=2)
        assert isinstance(end, Dead)
        for one in (end.code, end.reason, end.stack or ""):
            assert "\x00" not in one
            one.encode()
