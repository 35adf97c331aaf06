"""P1: nothing acknowledged is lost. P6: one bad item fails alone."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from app.sandbox.zoho.contract import Delivery
from tests.faults.promises.evidence import ENTITY_OF, Entity, Evidence, Violation, acknowledged

__all__ = ["check_acknowledged", "check_invalid"]

_ROWS = """
    SELECT event.id, event.body, event.status, event.duplicate_of, first.status AS first_status,
           first.body = event.body AS same_body
    FROM tds_inbox_events AS event
    LEFT JOIN tds_inbox_events AS first ON first.id = event.duplicate_of
    WHERE event.id = ANY ($1)
"""
_FINAL = frozenset({"completed", "dead_letter", "cancelled"})


def _entity(delivery: Delivery) -> Entity:
    return ENTITY_OF[delivery.module], delivery.record_id


async def _receipts(evidence: Evidence) -> list[tuple[Delivery, UUID]]:
    return [
        (delivery, event_id)
        for delivery in evidence.deliveries
        for attempt in delivery.attempts
        if (event_id := acknowledged(attempt)) is not None
    ]


async def check_acknowledged(evidence: Evidence) -> list[Violation]:
    """Every 202 has its row, with these bytes, and a final status; and every delivery was accepted in the end."""
    receipts = await _receipts(evidence)
    found = await evidence.connection.fetch(_ROWS, [event_id for _, event_id in receipts])
    rows: dict[UUID, Any] = {row["id"]: row for row in found}
    told = [
        Violation("P1", f"delivery {delivery.id} was answered 202 {event_id}: {problem}", _entity(delivery))
        for delivery, event_id in receipts
        if (problem := _problem(delivery, rows.get(event_id)))
    ]
    return told + [
        Violation(
            "P7", f"delivery {delivery.id} was never accepted ({len(delivery.attempts)} tries)", _entity(delivery)
        )
        for delivery in evidence.deliveries
        if delivery.state not in ("delivered", "dropped")
    ]


def _problem(delivery: Delivery, row: Any) -> str | None:
    if row is None:
        return "there is no such event"
    if bytes(row["body"]) != delivery.body.encode():
        return "the stored bytes are others"
    if row["duplicate_of"] is None:
        return None if row["status"] in _FINAL - {"cancelled"} else f"it stands at {row['status']}"
    if not row["same_body"]:
        return f"it is called a duplicate of {row['duplicate_of']}, which is not there or holds other bytes"
    return None if row["first_status"] in _FINAL else f"what it repeats stands at {row['first_status']}"


_DEAD = """
    SELECT event.id, event.content_hash, event.entity_type, event.source_entity_id, event.run_id, letter.failure_reason
    FROM tds_inbox_events AS event
    LEFT JOIN tds_dead_letter_queue AS letter ON letter.inbox_event_id = event.id
    WHERE event.status = 'dead_letter'
"""
_ACCEPTED_INVALID = """
    SELECT content_hash, entity_type, source_entity_id, status FROM tds_inbox_events
    WHERE content_hash = ANY ($1) AND duplicate_of IS NULL AND status <> 'dead_letter'
"""


async def check_invalid(evidence: Evidence) -> list[Violation]:
    """Exactly what was sent broken is a dead letter, once, with its reason."""
    invalid = evidence.history.invalid
    invalid |= {
        hashlib.sha256(delivery.body.encode()).digest()
        for delivery in evidence.deliveries
        if "invalid" in delivery.switches
    }
    told = [
        Violation("P6", _wrongly_dead(row), _entity_of(row))
        for row in await evidence.connection.fetch(_DEAD)
        if bytes(row["content_hash"]) not in invalid or row["failure_reason"] is None
    ]
    return told + [
        Violation("P6", f"a delivery that cannot be mapped stands at {row['status']}", _entity_of(row))
        for row in await evidence.connection.fetch(_ACCEPTED_INVALID, list(invalid))
    ]


def _wrongly_dead(row: Any) -> str:
    if row["failure_reason"] is None:
        return f"event {row['id']} is dead and has no letter"
    return f"event {row['id']} was not sent broken and is dead: {row['failure_reason']}"


def _entity_of(row: Any) -> Entity | None:
    return (row["entity_type"], row["source_entity_id"]) if row["source_entity_id"] else None
