"""What the five rules say of a reading, at their edges."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.config import AlertSettings
from app.core.ids import new_id
from app.tds.monitoring.figures import Process, Sums
from app.tds.monitoring.rules import Finding, Reading, Rule, judge, span

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = AlertSettings()


def found(reading: Reading, rule: Rule, subject: str = "", settings: AlertSettings = SETTINGS) -> Finding:
    """The one finding of this rule and subject."""
    (one,) = [one for one in judge(reading, settings) if (one.rule, one.subject) == (rule, subject)]
    return one


def marks(one: Finding) -> tuple[bool, bool]:
    """Breached and calm."""
    return one.breached, one.calm


def failing(failed: int, processed: int, entity_type: str = "product") -> Reading:
    """So many failures among so many attempts."""
    sums = Sums(processed=processed, succeeded=processed - failed, failed=failed, retried=failed)
    return Reading(window={entity_type: sums})


def process(name: str, *, started: float = 0, silent: float = 0, **more: Any) -> Process:
    """A process that started so many seconds after START and was last heard of ``silent`` seconds before minute 10."""
    beat = START + timedelta(minutes=10, seconds=-silent)
    values: dict[str, Any] = {"host": "h", "workers": 2, "stopped": False}
    return Process(
        name=name,
        started_at=START + timedelta(seconds=started),
        heartbeat_at=beat,
        silent_seconds=silent,
        **(values | more),
    )


class TestFailureRate:
    """More than 10 %, of at least 20 attempts, in an hour."""

    @pytest.mark.parametrize(
        ("failed", "processed", "expected"),
        [
            (0, 0, (False, True)),
            (19, 19, (False, False)),
            (20, 20, (True, False)),
            (2, 20, (False, False)),
            (3, 20, (True, False)),
            (10, 100, (False, False)),
            (11, 100, (True, False)),
            (8, 100, (False, False)),
            (7, 100, (False, True)),
        ],
    )
    def test_at_its_edges(self, failed: int, processed: int, expected: tuple[bool, bool]) -> None:
        """Exactly 10 % is not more than 10 %; over is below 8 %; too few attempts tell nothing."""
        assert marks(found(failing(failed, processed), Rule.FAILURE_RATE, "product")) == expected

    def test_reads_as_the_specification_says(self) -> None:
        """Title, message and severity of its example."""
        one = found(failing(3, 20), Rule.FAILURE_RATE, "product")
        assert (one.severity, one.title) == ("error", "High failure rate detected")
        assert one.message == "Product sync failure rate exceeded 10% in last hour"
        assert (one.value, one.threshold) == (15.0, 10.0)

    def test_names_type_threshold_and_window(self) -> None:
        """Whatever they are set to."""
        settings = AlertSettings(failure_rate=2.5, failure_minutes=30)
        one = found(failing(3, 20, "sales_order"), Rule.FAILURE_RATE, "sales_order", settings)
        assert one.message == "Sales order sync failure rate exceeded 2.5% in last 30 minutes"

    def test_judges_each_entity_type_apart(self) -> None:
        """A thousand good products do not hide bad customers."""
        window = {**failing(0, 1_000).window, **failing(15, 20, "customer").window}
        reading = Reading(window=window)
        assert found(reading, Rule.FAILURE_RATE, "customer").breached
        assert found(reading, Rule.FAILURE_RATE, "product").calm


class TestQueueBacklog:
    """More than 10,000 items."""

    @pytest.mark.parametrize(
        ("waiting", "expected"),
        [(10_000, (False, False)), (10_001, (True, False)), (8_000, (False, False)), (7_999, (False, True))],
    )
    def test_at_its_edges(self, waiting: int, expected: tuple[bool, bool]) -> None:
        """It is over below 8,000."""
        assert marks(found(Reading(waiting=waiting), Rule.QUEUE_BACKLOG)) == expected


class TestStaleProcessing:
    """More than an hour."""

    @pytest.mark.parametrize(
        ("items", "seconds", "expected"),
        [
            (0, 0.0, (False, True)),
            (1, 3_600.0, (True, False)),
            (0, 3_000.0, (False, False)),
            (0, 2_879.0, (False, True)),
        ],
    )
    def test_of_items(self, items: int, seconds: float, expected: tuple[bool, bool]) -> None:
        """The oldest one's age decides when it is over."""
        reading = Reading(stale_items=items, oldest_item_seconds=seconds)
        assert marks(found(reading, Rule.STALE_PROCESSING, "items")) == expected

    def test_of_items_says_how_many(self) -> None:
        """One and several."""
        one = found(Reading(stale_items=1), Rule.STALE_PROCESSING, "items")
        assert one.message == "An item has been in processing for more than 1 hour"
        many = found(Reading(stale_items=1_200), Rule.STALE_PROCESSING, "items")
        assert many.message == "1,200 items have been in processing for more than 1 hour"

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [(3_600.0, (False, False)), (3_601.0, (True, False)), (2_880.0, (False, False)), (2_879.0, (False, True))],
    )
    def test_of_runs(self, seconds: float, expected: tuple[bool, bool]) -> None:
        """With the run, so that a page can lead to it."""
        run_id = new_id()
        reading = Reading(run_id=run_id, run_type="product", run_seconds=seconds)
        one = found(reading, Rule.STALE_PROCESSING, "runs")
        assert marks(one) == expected
        assert one.run_id == run_id
        assert one.message == "A run of product has been in processing for more than 1 hour"

    def test_is_calm_without_a_run(self) -> None:
        """Nothing is in processing."""
        assert marks(found(Reading(), Rule.STALE_PROCESSING, "runs")) == (False, True)


class TestDeadLetterGrowth:
    """More than 25 within an hour."""

    @pytest.mark.parametrize(
        ("letters", "expected"), [(25, (False, False)), (26, (True, False)), (20, (False, False)), (19, (False, True))]
    )
    def test_at_its_edges(self, letters: int, expected: tuple[bool, bool]) -> None:
        """It is over below 20."""
        assert marks(found(Reading(new_letters=letters), Rule.DEAD_LETTER_GROWTH)) == expected


class TestWorkerFailure:
    """No heartbeat for 45 s, and no goodbye."""

    def lost(self, *processes: Process, **more: Any) -> set[str]:
        """The processes for which an alert is due."""
        reading = Reading(processes=processes, **more)
        return {one.subject for one in judge(reading, SETTINGS) if one.rule is Rule.WORKER_FAILURE and one.breached}

    def test_at_its_edge(self) -> None:
        """Not before the time is up."""
        assert self.lost(process("a", silent=45)) == set()
        assert self.lost(process("a", silent=45.1), process("b", silent=3)) == {"a"}

    def test_is_none_after_a_goodbye(self) -> None:
        """It ended as it should."""
        assert self.lost(process("a", silent=500, stopped=True)) == set()

    def test_is_one_for_each_lost_process(self) -> None:
        """Two lost, two alerts."""
        assert self.lost(process("a", silent=60), process("b", silent=70)) == {"a", "b"}

    def test_is_over_when_another_has_taken_its_place(self) -> None:
        """Each process started since stands in for one that was lost, the first lost first."""
        lost = process("a", silent=100), process("b", silent=90)
        one, two = process("c", started=550), process("d", started=560)
        assert self.lost(*lost, one) == {"b"}
        assert self.lost(*lost, one, two) == set()

    def test_is_not_over_because_others_were_there_before(self) -> None:
        """A process that ran all the time replaces nobody."""
        assert self.lost(process("a", silent=100), process("b", started=10, silent=1)) == {"a"}

    def test_waits_until_the_database_has_answered_for_long_enough(self) -> None:
        """After an outage all are silent and nobody is dead: none fires, and none that is active ends."""
        reading = Reading(processes=[process("a", silent=300)], steady=False)
        assert marks(found(reading, Rule.WORKER_FAILURE, "a")) == (False, False)

    def test_is_calm_when_it_is_heard_again(self) -> None:
        """It was only cut off."""
        assert found(Reading(processes=[process("a", silent=2)]), Rule.WORKER_FAILURE, "a").calm

    def test_is_critical_when_work_waits_and_nobody_is_left(self) -> None:
        """Else an error."""
        reading = Reading(processes=[process("a", silent=60), process("b", silent=500, stopped=True)])
        assert found(reading, Rule.WORKER_FAILURE, "a").severity == "error"
        left = found(replace(reading, work_waits=True), Rule.WORKER_FAILURE, "a")
        assert left.severity == "critical"
        assert left.message == (
            "2 workers on h ended without a goodbye: no heartbeat for more than 45 seconds;"
            " no worker is left, and work waits"
        )
        others = replace(reading, work_waits=True, processes=[*reading.processes, process("c", silent=1)])
        assert found(others, Rule.WORKER_FAILURE, "a").severity == "error"


class TestSpan:
    """Spans in words."""

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (3_600, "1 hour"),
            (7_200, "2 hours"),
            (60, "1 minute"),
            (1_800, "30 minutes"),
            (90, "90 seconds"),
            (1, "1 second"),
            (0.5, "0.5 seconds"),
        ],
    )
    def test_takes_the_largest_unit_that_fits(self, seconds: float, words: str) -> None:
        """Whole units only."""
        assert span(seconds) == words
