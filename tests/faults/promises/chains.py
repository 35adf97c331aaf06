"""P4: one writer an entity. Had two written at once, a change would not begin where the one before it ended."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.faults.promises.evidence import Evidence, Violation

__all__ = ["check_chains", "follow"]

_EVENTS: Final = """
    SELECT position, aggregate_type, aggregate_id, split_part(event_type, '.', 3) AS operation,
           data -> 'changes' AS changes, data ->> 'source_entity_id' AS source_entity_id
    FROM event_log
    WHERE position > $1 AND event_type IN ('tds.entity.create', 'tds.entity.update', 'tds.entity.delete')
    ORDER BY position
"""
_AUDITS: Final = """
    SELECT entity_type, entity_id, operation, before, after
    FROM tds_audit_trail
    WHERE created_at > to_timestamp($1)
    ORDER BY created_at, id
"""
Row = dict[str, Any]


async def check_chains(evidence: Evidence) -> list[Violation]:
    """Each entity's changes, in the order of its events, lead from each state to the next.

    The order is that of the event log's positions: they are taken while the entity is locked. Times would not do,
    since a transaction's time is that of its beginning, and its wait for the lock comes after.
    """
    audits: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    since, evidence.history.audited = evidence.history.audited, time.time()
    for row in await evidence.connection.fetch(_AUDITS, since):
        before, after = (json.loads(row[name]) if row[name] else None for name in ("before", "after"))
        change = {"operation": row["operation"], "before": before, "after": after}
        audits[row["entity_type"], row["entity_id"]].append(change)
    told: list[Violation] = []
    for event in await evidence.connection.fetch(_EVENTS, evidence.history.position):
        evidence.history.position = event["position"]
        key = event["aggregate_type"], event["aggregate_id"]
        told += _follow_event(evidence, event, audits[key])
    return told


def _follow_event(evidence: Evidence, event: Any, audits: list[Row]) -> list[Violation]:
    rows, key = evidence.history.rows, (event["aggregate_type"], event["aggregate_id"])
    entity = (event["aggregate_type"], event["source_entity_id"])
    changes = json.loads(event["changes"])
    fitting = [one for one in audits if one["operation"] == event["operation"] and (one["after"] or {}) == changes]
    problems = [(follow(rows.get(key), one), one) for one in fitting]
    chosen = next((one for problem, one in problems if problem is None), fitting[0] if fitting else None)
    if chosen is None:
        return [Violation("P4", f"event {event['position']} ({event['operation']}) has no audit row", entity)]
    audits.remove(chosen)
    problem = follow(rows.get(key), chosen)
    rows[key] = after(rows.get(key), chosen)
    return [Violation("P4", f"at event {event['position']}: {problem}", entity)] if problem else []


def follow(row: Mapping[str, Any] | None, change: Mapping[str, Any]) -> str | None:
    """Why a change cannot follow this state; None where it can. Fields that the state does not know are free."""
    operation: str = change["operation"]
    before: Mapping[str, Any] = change["before"] or {}
    if (row is None) != (operation == "create"):
        return f"a {operation} of an entity that {'is not there' if row is None else 'is there'}"
    differing = [name for name, value in before.items() if row is not None and name in row and row[name] != value]
    if not differing or row is None:
        return None
    name = differing[0]
    return f"a {operation} began with {name} = {before[name]!r}, and it was {row[name]!r}"


def after(row: Mapping[str, Any] | None, change: Mapping[str, Any]) -> Row | None:
    """The state after a change."""
    if change["operation"] == "delete":
        return None
    known: Sequence[Mapping[str, Any] | None] = (row, change["before"], change["after"])
    return {name: value for part in known for name, value in (part or {}).items()}
