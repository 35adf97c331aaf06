"""P9: from a source id, every change can be followed from the raw event to the domain event."""

from __future__ import annotations

from typing import Final

from tests.faults.promises.evidence import ENTITY_OF, Evidence, Violation

__all__ = ["check_explained"]

_SAMPLE: Final = 40
_UNEXPLAINED: Final = """
    SELECT item.id, item.entity_type, item.source_entity_id,
           event.id IS NOT NULL AS received, audit.id IS NOT NULL AS audited, domain.event_id IS NOT NULL AS announced
    FROM tds_sync_queue AS item
    LEFT JOIN tds_inbox_events AS event
        ON event.id = item.inbox_event_id AND event.source_entity_id = item.source_entity_id
           AND event.status = 'completed' AND event.trace_id = item.trace_id
    LEFT JOIN tds_audit_trail AS audit ON audit.queue_id = item.id AND audit.entity_id = item.target_entity_id
    LEFT JOIN event_log AS domain
        ON domain.aggregate_type = item.entity_type AND domain.aggregate_id = item.target_entity_id
           AND domain.correlation_id = item.trace_id
    WHERE item.entity_type = $1 AND item.source_entity_id = ANY ($2)
      AND (event.id IS NULL
           OR item.outcome IN ('created', 'updated', 'deleted') AND (audit.id IS NULL OR domain.event_id IS NULL))
"""


async def check_explained(evidence: Evidence) -> list[Violation]:
    """For some of the round's entities: each item has its raw event, each effective one its audit row and event."""
    touched = sorted({(ENTITY_OF[one.module], one.record_id) for one in evidence.deliveries})
    sample = evidence.rng.sample(touched, min(_SAMPLE, len(touched)))
    told: list[Violation] = []
    for entity_type in ENTITY_OF.values():
        wanted = [identifier for kind, identifier in sample if kind == entity_type]
        for row in await evidence.connection.fetch(_UNEXPLAINED, entity_type, wanted):
            missing = [name for name in ("received", "audited", "announced") if not row[name]]
            what = f"item {row['id']} cannot be explained: not {', '.join(missing)}"
            told.append(Violation("P9", what, (entity_type, row["source_entity_id"])))
    return told
