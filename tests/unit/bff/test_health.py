"""The one word on the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.bff.health import HealthWord, Signs, health_word

CALM = Signs(
    pending=0,
    retry_ready=0,
    oldest_pending_seconds=0.0,
    stale_processing=0,
    active_workers=2,
    processed=50,
    error_rate=0.5,
    worst_alert=None,
)
BLOCKED: dict[str, Any] = {"pending": 5, "oldest_pending_seconds": 300.0}


@pytest.mark.parametrize(
    ("signs", "word"),
    [
        ({}, "healthy"),
        ({"active_workers": 0, "processed": 0}, "healthy"),
        ({"pending": 10_000, "oldest_pending_seconds": 900.0}, "healthy"),
        ({"error_rate": 10.0}, "healthy"),
        ({"pending": 1, "active_workers": 0}, "degraded"),
        ({"retry_ready": 1, "active_workers": 0}, "degraded"),
        ({"stale_processing": 1}, "degraded"),
        ({"worst_alert": "info"}, "degraded"),
        ({"worst_alert": "error"}, "degraded"),
        ({"worst_alert": "critical"}, "critical"),
        ({"pending": 10_001}, "critical"),
        ({"error_rate": 10.1}, "critical"),
        ({**BLOCKED, "processed": 0}, "stalled"),
        ({**BLOCKED, "active_workers": 0}, "stalled"),
        ({**BLOCKED, "oldest_pending_seconds": 299.9, "active_workers": 0}, "degraded"),
        ({**BLOCKED, "pending": 20_000, "processed": 0, "worst_alert": "critical"}, "stalled"),
    ],
)
def test_health_is_the_first_rule_that_holds(signs: dict[str, Any], word: HealthWord) -> None:
    """Each sign alone, each at its threshold, and the worst of several."""
    assert health_word(replace(CALM, **signs)) == word
