"""The story of one entity, from the source's deliveries to the domain events, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from app.sandbox.zoho.contract import Delivery
from tests.faults.postgres import Connection
from tests.faults.promises.evidence import ENTITY_OF, Entity

__all__ = ["timeline"]

_LAST: Final = 60
_ROWS: Final = """
    SELECT created_at AS at, 'inbox' AS what,
           format('%s arrival %s %s %s%s%s', id, arrival, COALESCE(operation, '?'), status,
                  CASE WHEN run_id IS NOT NULL THEN format(' run %s', run_id) END,
                  CASE WHEN duplicate_of IS NOT NULL THEN format(' duplicate of %s', duplicate_of) END) AS text
    FROM tds_inbox_events WHERE source_entity_id = $2 AND entity_type = $1
    UNION ALL
    SELECT created_at, 'queued',
           format('%s arrival %s version %s %s priority %s from %s', id, arrival, version_time, operation_type,
                  priority, inbox_event_id)
    FROM tds_sync_queue WHERE source_entity_id = $2 AND entity_type = $1
    UNION ALL
    SELECT COALESCE(completed_at, now()), 'item',
           format('%s arrival %s %s %s attempts %s, lease %s (%s lost), by %s %s', id, arrival, status, outcome,
                  attempts, lease_token, lease_losses, locked_by, errors)
    FROM tds_sync_queue WHERE source_entity_id = $2 AND entity_type = $1
    UNION ALL
    SELECT created_at, 'audit',
           format('%s %s by %s for %s: %s -> %s', id, operation, actor, queue_id, left(before::text, 300),
                  left(after::text, 300))
    FROM tds_audit_trail WHERE source_entity_id = $2 AND entity_type = $1
    UNION ALL
    SELECT log.occurred_at, 'event', format('%s position %s trace %s', event_type, position, correlation_id)
    FROM event_log AS log JOIN tds_entities AS entity
        ON log.aggregate_type = entity.entity_type AND log.aggregate_id = entity.local_id
    WHERE entity.source_entity_id = $2 AND entity.entity_type = $1
    UNION ALL
    SELECT created_at, 'letter', format('%s %s %s', id, error_code, failure_reason)
    FROM tds_dead_letter_queue WHERE source_entity_id = $2 AND entity_type = $1
    UNION ALL
    SELECT COALESCE(last_applied_at, created_at), 'ledger',
           format('local %s version %s arrival %s barrier %s deleted %s', local_id, version_time, version_arrival,
                  barrier_arrival, deleted)
    FROM tds_entities WHERE source_entity_id = $2 AND entity_type = $1
"""
Line = tuple[datetime, str, str]


async def timeline(connection: Connection, entity: Entity, deliveries: Sequence[Delivery]) -> str:
    """What the tables and the source's log know of an entity; its newest ``_LAST`` lines."""
    lines: list[Line] = [(row["at"], row["what"], row["text"]) for row in await connection.fetch(_ROWS, *entity)]
    lines += [line for one in deliveries if (ENTITY_OF[one.module], one.record_id) == entity for line in _told(one)]
    lines.sort(key=lambda line: line[0])
    shown = [f"  {at.astimezone(UTC):%H:%M:%S.%f} {what:7} {text}" for at, what, text in lines[-_LAST:]]
    return "\n".join([f"  ({len(lines) - len(shown)} older lines)", *shown] if len(lines) > len(shown) else shown)


def _told(delivery: Delivery) -> list[Line]:
    switches = f" [{', '.join(delivery.switches)}]" if delivery.switches else ""
    tries: list[Any] = [
        (datetime.fromisoformat(one.at), "sent", f"#{delivery.id}: {one.status or one.error} {one.answer}")
        for one in delivery.attempts
    ]
    queued = datetime.fromisoformat(delivery.queued_at)
    return [(queued, "source", f"#{delivery.id} {delivery.event}{switches} {delivery.state}"), *tries]
