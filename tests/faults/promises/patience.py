"""P8: only the handler's failures spend attempts. None is made to fail here, so nothing spends any."""

from __future__ import annotations

from typing import Final

from tests.faults.promises.evidence import Evidence, Violation

__all__ = ["check_attempts"]

_SPENT: Final = "SELECT id, entity_type, source_entity_id, attempts, errors FROM tds_sync_queue WHERE attempts > 0"
_LETTERS: Final = """
    SELECT id, entity_type, source_entity_id, failure_reason FROM tds_dead_letter_queue WHERE sync_queue_id IS NOT NULL
"""


async def check_attempts(evidence: Evidence) -> list[Violation]:
    """No item has spent an attempt or was given up."""
    told = [
        Violation(
            "P8",
            f"item {row['id']} has spent {row['attempts']} attempts: {row['errors']}",
            (row["entity_type"], row["source_entity_id"]),
        )
        for row in await evidence.connection.fetch(_SPENT)
    ]
    return told + [
        Violation("P8", f"an item was given up: {row['failure_reason']}", (row["entity_type"], row["source_entity_id"]))
        for row in await evidence.connection.fetch(_LETTERS)
    ]
