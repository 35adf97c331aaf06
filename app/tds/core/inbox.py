"""The inbox: what arrives is stored raw and committed before anybody looks at it (P1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.core.ids import new_id
from app.core.orm import to_json
from app.tds.core.ports import RawRecord
from app.tds.sql import column, statement
from app.tds.types import SignatureVerdict

__all__ = ["Receipt", "receive", "store_records"]

_KEPT_HEADERS: Final = frozenset({"content-type", "user-agent", "x-zoho-webhook-signature", "x-request-id", "date"})
"""Headers worth keeping; never one that holds a credential."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was stored. ``duplicate_of`` is the event whose bytes this one repeats."""

    event_id: UUID
    duplicate_of: UUID | None


def _dedupe_key(record: RawRecord, digest: bytes) -> bytes:
    hints = f"{record.entity_type or ''}|{record.operation or ''}|{record.source_entity_id or ''}|".encode()
    return hashlib.sha256(hints + digest).digest()


async def receive(
    session: AsyncSession,
    record: RawRecord,
    *,
    source: str,
    headers: Mapping[str, str],
    window: timedelta,
    trace_id: str | None = None,
) -> Receipt:
    """Store one genuine delivery. The same bytes within ``window`` are stored as a duplicate, with no effect.

    The caller commits before it acknowledges.
    """
    event_id, digest = new_id(), hashlib.sha256(record.body).digest()
    parameters = {
        "id": event_id,
        "source": source,
        "key": _dedupe_key(record, digest),
        "window": window,
        "entity_type": record.entity_type,
        "source_entity_id": record.source_entity_id,
        "operation": record.operation,
        "body": record.body,
        "headers": to_json({name: value for name, value in headers.items() if name in _KEPT_HEADERS}),
        "content_hash": digest,
        "signature": SignatureVerdict.VALID.value,
        "trace_id": trace_id,
    }
    (row,) = await fetch(session, statement("receive"), parameters)
    return Receipt(event_id, row.duplicate_of)


async def store_records(
    session: AsyncSession,
    records: Sequence[RawRecord],
    *,
    source: str,
    run_id: UUID | None,
    trace_id: str | None = None,
) -> None:
    """Store a page of polled records, in one statement."""
    if not records:
        return
    parameters = {
        "ids": [new_id() for _ in records],
        "source": source,
        "run_id": run_id,
        "trace_id": trace_id,
        "entity_types": column([record.entity_type for record in records]),
        "source_entity_ids": column([record.source_entity_id for record in records]),
        "operations": column([record.operation for record in records]),
        "bodies": [record.body for record in records],
    }
    await fetch(session, statement("store_records"), parameters)
