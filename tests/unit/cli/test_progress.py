"""Runs are shown as they go, in plain lines where there is no terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.cli.progress import display
from app.cli.sync import all_well
from app.tds.models import TDSSyncRun
from app.tds.types import EventStatus

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _run(status: EventStatus = EventStatus.PROCESSING, **values: Any) -> TDSSyncRun:
    given: dict[str, Any] = {
        "id": UUID(int=1),
        "entity_type": "product",
        "total_events": 400,
        "processed_events": 200,
        "failed_events": 0,
        "scan_completed": False,
        "started_at": NOW - timedelta(seconds=2),
        "since": None,
    }
    return TDSSyncRun(status=status, **(given | values))


class TestDisplay:
    """``display``."""

    def test_prints_lines_now_and_then(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A total that still grows has a plus; two seconds pass between two lines of a run."""
        with display("bars") as shown:
            for passed in (0, 1, 2, 3):
                shown.update([_run()], NOW + timedelta(seconds=passed))
        assert capsys.readouterr().out.splitlines() == ["product    200 of 400+, 0 failed, 50/s"]

    def test_prints_the_end_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        """With the time it took, and why it failed."""
        ended = _run(EventStatus.FAILED, completed_at=NOW, error_summary="Zoho refuses")
        with display("bars") as shown:
            shown.update([ended], NOW)
            shown.update([ended], NOW + timedelta(seconds=9))
        assert capsys.readouterr().out.splitlines() == [
            "product    failed: 200 of 400, 0 failed, 100/s, 2.0 s - Zoho refuses"
        ]

    def test_says_that_nobody_has_begun(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A run that waits for a worker has no rate."""
        waiting = _run(EventStatus.PENDING, started_at=None, total_events=0, processed_events=0)
        with display("bars") as shown:
            shown.update([waiting], NOW)
            shown.update([waiting], NOW + timedelta(seconds=3))
        assert "waits for a worker" in capsys.readouterr().out

    def test_says_when_a_source_is_asked_again(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A run at rest shows why, and for how long."""
        resting = _run(next_attempt_at=NOW + timedelta(seconds=60), error_summary="Zoho asks for patience")
        with display("bars") as shown:
            shown.update([resting], NOW - timedelta(seconds=9))
            shown.update([resting], NOW)
        assert "asked again in 60 s: Zoho asks for patience" in capsys.readouterr().out

    def test_prints_nothing_beside_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Standard output is the object's."""
        with display("none") as shown:
            shown.update([_run(EventStatus.COMPLETED, completed_at=NOW)], NOW)
        assert capsys.readouterr().out == ""


class TestAllWell:
    """``all_well``."""

    @pytest.mark.parametrize(
        ("status", "failed", "well"),
        [
            (EventStatus.COMPLETED, 0, True),
            (EventStatus.COMPLETED, 1, False),
            (EventStatus.FAILED, 0, False),
            (EventStatus.CANCELLED, 0, False),
            (EventStatus.PROCESSING, 0, False),
        ],
    )
    def test_needs_every_run_completed_without_a_failure(self, status: EventStatus, failed: int, *, well: bool) -> None:
        """One failed item, or one run that did not complete, is enough for exit 1."""
        runs = [_run(EventStatus.COMPLETED), _run(status, failed_events=failed)]
        assert all_well(runs) is well

    def test_is_content_with_open_runs_when_not_waiting(self) -> None:
        """What was only asked for has not failed."""
        assert all_well([_run(EventStatus.PENDING)], waited=False)
