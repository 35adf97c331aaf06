"""What the queue refuses before it asks the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import InvalidError
from app.core.ids import new_id
from app.tds.core.queue import TDSQueueService

GOOD: Mapping[str, Any] = {
    "entity_type": "product",
    "source_entity_id": "1",
    "operation_type": "upsert",
    "validated_payload": {"name": "Cable"},
}


def but(**others: Any) -> dict[str, Any]:
    """Good arguments, but for some."""
    return {**GOOD, **others}


@pytest.fixture
def queue() -> TDSQueueService:
    """A queue on a session that is bound to nothing: whoever uses it fails."""
    return TDSQueueService(AsyncSession())


class TestEnqueue:
    """Arguments that no row can hold."""

    @pytest.mark.parametrize(
        "bad",
        [
            {"entity_type": ""},
            {"entity_type": "x" * 201},
            {"entity_type": "a\x00"},
            {"source_entity_id": ""},
            {"source_entity_id": "x" * 201},
            {"source_entity_id": "a\x00"},
            {"operation_type": "merge"},
            {"priority": 0},
            {"priority": 11},
            {"validated_payload": {"a": object()}},
            {"validated_payload": {"a": "\x00"}},
            {"validated_payload": {"a\x00": 1}},
            {"validated_payload": {"a": "\ud800"}},
            {"validated_payload": {"a": 10**40}},
            {"inbox_event_id": "no uuid"},
            {"inbox_event_id": 5},
            {"source_entity_id": "half a pair \ud800"},
            {"source": "a\x00"},
            {"source": ""},
        ],
    )
    async def test_are_refused(self, queue: TDSQueueService, bad: dict[str, Any]) -> None:
        """By name, before a transaction is opened."""
        with pytest.raises(InvalidError):
            await queue.enqueue(**but(**bad))

    async def test_a_backslash_before_u0000_is_no_nul(self, queue: TDSQueueService) -> None:
        """Six harmless characters, such as in a path: it gets as far as the database."""
        with pytest.raises(Exception, match=r"(?i)bind|engine"):
            await queue.enqueue(**but(validated_payload={"name": "C:\\u0000"}))


class TestOtherCalls:
    """Ids and limits."""

    async def test_an_id_that_is_none_is_refused(self, queue: TDSQueueService) -> None:
        """As an error of the caller's."""
        with pytest.raises(InvalidError):
            await queue.mark_as_completed("no uuid")

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_a_limit_below_one_is_refused(self, queue: TDSQueueService, limit: int) -> None:
        """It would mean nothing."""
        with pytest.raises(InvalidError):
            await queue.get_pending_events(limit)

    async def test_a_good_id_gets_as_far_as_the_database(self, queue: TDSQueueService) -> None:
        """The refusals above are not the session's."""
        with pytest.raises(Exception, match=r"(?i)bind|engine"):
            await queue.mark_as_completed(new_id())
