"""Queue entries that somebody holds follow what workers do with them."""

from __future__ import annotations

import gc
from datetime import timedelta
from typing import Any

import pytest

from app.tds.core import live
from app.tds.core.outcomes import ClaimedItem, Dead, Defer, Done, End, GiveBack, Retry
from app.tds.models import TDSSyncQueue
from app.tds.types import EventStatus, Outcome
from tests.support.pipeline import TIME, claimed

LATER = TIME + timedelta(minutes=1)


def held(item: ClaimedItem) -> TDSSyncQueue:
    """An entry in somebody's hands."""
    entry = TDSSyncQueue(id=item.id, status=EventStatus.PENDING, attempts=item.attempts)
    live.follow(entry)
    return entry


class TestTell:
    """What has been committed."""

    @pytest.mark.parametrize(
        ("end", "status", "values"),
        [
            (Done(Outcome.CREATED, "7"), EventStatus.COMPLETED, {"outcome": Outcome.CREATED, "target_entity_id": "7"}),
            (Retry(LATER, "x", "y"), EventStatus.RETRY, {"next_retry_at": LATER, "attempts": 2}),
            (Defer(LATER, "x", "y"), EventStatus.RETRY, {"next_retry_at": LATER, "attempts": 1}),
            (Dead("x", "y"), EventStatus.DEAD_LETTER, {"attempts": 2}),
            (Dead("x", "y", spent=0), EventStatus.DEAD_LETTER, {"attempts": 1}),
            (GiveBack(), EventStatus.PENDING, {"attempts": 1}),
        ],
    )
    def test_shows_how_the_item_ended(self, end: End, status: EventStatus, values: dict[str, Any]) -> None:
        """As its row does."""
        item = claimed(attempts=1)
        entry = held(item)
        live.tell([(item, end)])
        assert entry.status is status
        assert {name: getattr(entry, name) for name in values} == values

    def test_leaves_others_alone(self) -> None:
        """Only the item that ended moves."""
        item, other = claimed(), claimed()
        entry = held(other)
        live.tell([(item, Done(Outcome.CREATED, "7"))])
        assert entry.status is EventStatus.PENDING

    def test_keeps_nobody_alive(self) -> None:
        """An entry that nobody holds is forgotten."""
        item = claimed()
        held(item)
        gc.collect()
        assert item.id not in live._HELD  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a leak shows nowhere else
