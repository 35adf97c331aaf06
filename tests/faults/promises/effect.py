"""P2: effect exactly once."""

from __future__ import annotations

from typing import Any, Final

from tests.faults.promises.evidence import Entity, Evidence, Violation

__all__ = ["check_effects", "check_runs"]

_AUDITED: Final = """
    SELECT item.id, item.entity_type, item.source_entity_id, item.status, item.outcome, count(audit.id) AS audits,
           max(audit.operation) AS operation
    FROM tds_sync_queue AS item
    LEFT JOIN tds_audit_trail AS audit ON audit.queue_id = item.id
    GROUP BY item.id
    HAVING count(audit.id) <> CASE WHEN item.outcome IN ('created', 'updated', 'deleted') THEN 1 ELSE 0 END
        OR (count(audit.id) > 0 AND max(audit.operation) || 'd' <> item.outcome)
"""
_ORPHANS: Final = """
    SELECT audit.id, audit.entity_type, audit.source_entity_id, audit.queue_id
    FROM tds_audit_trail AS audit
    WHERE NOT EXISTS (SELECT FROM tds_sync_queue AS item WHERE item.id = audit.queue_id)
"""
_TWICE: Final = """
    SELECT inbox_event_id, entity_type, source_entity_id, count(*) AS items FROM tds_sync_queue
    WHERE inbox_event_id IS NOT NULL AND dead_letter_id IS NULL GROUP BY 1, 2, 3 HAVING count(*) > 1
"""
_ANNOUNCED: Final = """
    WITH audited AS (
        SELECT entity_type, entity_id, operation, count(*) AS number, max(source_entity_id) AS source_entity_id
        FROM tds_audit_trail GROUP BY 1, 2, 3
    ), announced AS (
        SELECT aggregate_type AS entity_type, aggregate_id AS entity_id, split_part(event_type, '.', 3) AS operation,
               count(*) AS number, max(data ->> 'source_entity_id') AS source_entity_id
        FROM event_log WHERE event_type IN ('tds.entity.create', 'tds.entity.update', 'tds.entity.delete')
        GROUP BY 1, 2, 3
    )
    SELECT entity_type, operation, COALESCE(audited.source_entity_id, announced.source_entity_id) AS source_entity_id,
           COALESCE(audited.number, 0) AS audits, COALESCE(announced.number, 0) AS events
    FROM audited FULL JOIN announced USING (entity_type, entity_id, operation)
    WHERE audited.number IS DISTINCT FROM announced.number
"""


def _entity(row: Any) -> Entity:
    return row["entity_type"], row["source_entity_id"]


async def check_effects(evidence: Evidence) -> list[Violation]:
    """One item for each event; one audit row and one announcement for each that changed something, else none."""
    told: list[Violation] = []
    for row in await evidence.connection.fetch(_AUDITED):
        end = row["outcome"] or row["status"]
        what = f"item {row['id']} ended as {end} and has {row['audits']} audit rows ({row['operation'] or 'none'})"
        told.append(Violation("P2", what, _entity(row)))
    told += [
        Violation("P2", f"audit row {row['id']} belongs to no item", _entity(row))
        for row in await evidence.connection.fetch(_ORPHANS)
    ]
    told += [
        Violation("P2", f"inbox event {row['inbox_event_id']} was queued {row['items']} times", _entity(row))
        for row in await evidence.connection.fetch(_TWICE)
    ]
    for row in await evidence.connection.fetch(_ANNOUNCED):
        what = f"{row['audits']} audit rows and {row['events']} events of {row['operation']}"
        told.append(Violation("P2", what, _entity(row)))
    return told


_RUNS: Final = """
    WITH read AS (
        SELECT run_id, count(*) AS number, count(*) FILTER (WHERE status = 'dead_letter') AS dead
        FROM tds_inbox_events WHERE run_id IS NOT NULL GROUP BY run_id
    ), worked AS (
        SELECT run_id, count(*) FILTER (WHERE outcome IN ('created', 'updated', 'deleted')) AS succeeded,
               count(*) FILTER (WHERE outcome IN ('unchanged', 'superseded')) AS skipped
        FROM tds_sync_queue WHERE run_id IS NOT NULL GROUP BY run_id
    ), told AS (
        SELECT aggregate_id, count(*) AS number FROM event_log
        WHERE event_type = 'tds.sync.completed' AND aggregate_type = 'sync_run' GROUP BY aggregate_id
    )
    SELECT run.id, run.status, run.total_events, run.processed_events, run.successful_events, run.failed_events,
           run.skipped_events, run.error_summary, COALESCE(read.number, 0) AS read, COALESCE(read.dead, 0) AS dead,
           COALESCE(worked.succeeded, 0) AS succeeded, COALESCE(worked.skipped, 0) AS skipped,
           COALESCE(told.number, 0) AS announced
    FROM tds_sync_runs AS run
    LEFT JOIN read ON read.run_id = run.id
    LEFT JOIN worked ON worked.run_id = run.id
    LEFT JOIN told ON told.aggregate_id = CAST(run.id AS text)
    WHERE run.managed AND ($1 OR run.status = 'completed')
"""


async def check_runs(evidence: Evidence) -> list[Violation]:
    """Every run has ended well, once, and its counters are what the queue's own rows add up to."""
    return [
        Violation("P2", f"run {row['id']} ({row['status']}, {row['error_summary']}): {problem}")
        for row in await evidence.connection.fetch(_RUNS, evidence.lateness is None)
        for problem in _wrong_counters(row)
    ]


def _wrong_counters(row: Any) -> list[str]:
    equal = (
        ("status", row["status"], "completed"),
        ("total", row["total_events"], row["read"]),
        ("processed", row["processed_events"], row["total_events"]),
        ("successful", row["successful_events"], row["succeeded"]),
        ("failed", row["failed_events"], row["dead"]),
        ("skipped", row["skipped_events"], row["skipped"]),
        ("announced", row["announced"], 1),
    )
    return [f"{name} is {found}, and should be {expected}" for name, found, expected in equal if found != expected]
