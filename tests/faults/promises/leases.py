"""P5: a lost lease writes nothing."""

from __future__ import annotations

from typing import Final

from tests.faults.postgres import Connection
from tests.faults.promises.evidence import Evidence, History, Violation

__all__ = ["check_leases", "remember_finished"]

_ITEMS: Final = """
    SELECT id, entity_type, source_entity_id, lease_token, outcome, completed_at, status, lease_losses
    FROM tds_sync_queue
"""
_FINISHED: Final = """
    SELECT id, lease_token, status, outcome, completed_at FROM tds_sync_queue
    WHERE completed_at > now() - interval '1 minute'
"""


async def remember_finished(connection: Connection, history: History) -> None:
    """Note how items have ended so far: a fault does so before it lets a worker go on that should write nothing."""
    for row in await connection.fetch(_FINISHED):
        history.finished.setdefault(row["id"], (row["lease_token"], row["status"], row["outcome"], row["completed_at"]))


async def check_leases(evidence: Evidence) -> list[Violation]:
    """What has ended is never ended again: no later writer has touched it, and it is still there."""
    finished, told, seen = evidence.history.finished, list[Violation](), set[object]()
    for row in await evidence.connection.fetch(_ITEMS):
        seen.add(row["id"])
        now = (row["lease_token"], row["status"], row["outcome"], row["completed_at"])
        before = (
            finished.setdefault(row["id"], now) if row["completed_at"] is not None else finished.get(row["id"], now)
        )
        entity = row["entity_type"], row["source_entity_id"]
        if before != now:
            told.append(Violation("P5", f"item {row['id']} had ended as {before}, and now is {now}", entity))
        if row["lease_token"] < row["lease_losses"]:
            what = f"item {row['id']} has lost {row['lease_losses']} leases and was given {row['lease_token']}"
            told.append(Violation("P5", what, entity))
    return told + [Violation("P5", f"item {gone}, which had ended, is gone") for gone in finished.keys() - seen]
