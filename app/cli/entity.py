"""One entity, read from every table that knows of it.

Its row in the system of record is read by name: what the ERP's columns are is the ERP's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, inspect, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.bff.reads.entities import LOCAL_PARTS, LOCAL_ROWS, read_rows
from app.core.errors import NotFoundError
from app.core.events.models import EventLogEntry
from app.core.orm import Base
from app.tds.models import TDSAuditTrail, TDSDeadLetterQueue, TDSEntity, TDSInboxEvent, TDSSyncQueue

__all__ = ["Entity", "EntityNotFoundError", "read_entity"]

_BY_SKU: Final = text("SELECT CAST(id AS text) FROM erp_products WHERE sku = CAST(:sku AS text) ORDER BY id LIMIT 20")
_BODY_SHOWN: Final = 4_000


class EntityNotFoundError(NotFoundError):
    """Nothing is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What was found. ``row`` is None for what is deleted, or was never applied; lists are newest first."""

    kind: str
    ledger: TDSEntity | None
    row: Mapping[str, Any] | None
    parts: Mapping[str, Sequence[Mapping[str, Any]]]
    audit: Sequence[TDSAuditTrail]
    events: Sequence[EventLogEntry]
    queue: Sequence[TDSSyncQueue]
    received: Sequence[TDSInboxEvent]
    letters: Sequence[TDSDeadLetterQueue]

    def as_json(self) -> dict[str, Any]:
        """All of it in JSON values; bodies as text, cut where they are long."""
        return {
            "entity_type": self.kind,
            "row": dict(self.row) if self.row is not None else None,
            **{name: list(map(dict, rows)) for name, rows in self.parts.items()},
            "ledger": _columns(self.ledger) if self.ledger else None,
            "audit": [_columns(one) for one in self.audit],
            "events": [_columns(one) for one in self.events],
            "queue": [_columns(one) for one in self.queue],
            "received": [_received(one) for one in self.received],
            "dead_letters": [_columns(one) for one in self.letters],
        }


def _columns(one: Base) -> dict[str, Any]:
    return {attribute.key: getattr(one, attribute.key) for attribute in inspect(type(one)).column_attrs}


def _received(event: TDSInboxEvent) -> dict[str, Any]:
    body = event.body[:_BODY_SHOWN].decode(errors="replace")
    return {**_columns(event), "body": body, "bytes": len(event.body)}


async def read_entity(session: AsyncSession, kind: str, identifier: str, *, limit: int) -> Entity:
    """Find an entity by its local id, its source's id or its SKU, and what is known of it.

    Raises:
        EntityNotFoundError: nothing is.
    """
    async with session.begin():
        ledger = await _ledger(session, kind, identifier)
        source_id, local_id = (ledger.source_entity_id, ledger.local_id) if ledger else (identifier, None)
        queue = await _newest(session, TDSSyncQueue, limit, source_entity_id=source_id, entity_type=kind)
        letters = await _newest(session, TDSDeadLetterQueue, limit, source_entity_id=source_id, entity_type=kind)
        if ledger is None and not queue and not letters:
            keys = "id here, id at the source or SKU" if kind == "product" else "id here or id at the source"
            raise EntityNotFoundError(f"there is no {kind} whose {keys} is {identifier!r}")
        return Entity(
            kind=kind,
            ledger=ledger,
            row=await _row(session, kind, local_id),
            parts={name: await _rows(session, query, local_id) for name, query in LOCAL_PARTS[kind].items()},
            audit=await _newest(session, TDSAuditTrail, limit, entity_id=local_id, entity_type=kind),
            events=await _events(session, kind, local_id, limit),
            queue=queue,
            received=await _inbox(session, [one.inbox_event_id for one in (*queue, *letters) if one.inbox_event_id]),
            letters=letters,
        )


async def _ledger(session: AsyncSession, kind: str, identifier: str) -> TDSEntity | None:
    query = select(TDSEntity).where(
        TDSEntity.entity_type == kind, or_(TDSEntity.source_entity_id == identifier, TDSEntity.local_id == identifier)
    )
    if (found := (await session.scalars(query.limit(1))).first()) is not None or kind != "product":
        return found
    matching = (await session.scalars(_BY_SKU, {"sku": identifier})).all()
    if not matching:
        return None
    query = select(TDSEntity).where(TDSEntity.entity_type == kind, TDSEntity.local_id.in_(matching))
    found_by_sku = (await session.scalars(query)).all()
    if len(found_by_sku) > 1:
        ids = ", ".join(one.source_entity_id for one in found_by_sku)
        raise EntityNotFoundError(f"several products have the SKU {identifier!r}; their ids at the source: {ids}")
    return found_by_sku[0] if found_by_sku else None


async def _row(session: AsyncSession, kind: str, local_id: str | None) -> Mapping[str, Any] | None:
    found = await _rows(session, LOCAL_ROWS[kind], local_id)
    return found[0] if found else None


async def _rows(session: AsyncSession, query: TextClause, local_id: str | None) -> list[Mapping[str, Any]]:
    if local_id is None:
        return []
    return list(await read_rows(session, query, local_id))


async def _newest(session: AsyncSession, model: Any, limit: int, **equal: str | None) -> list[Any]:
    if None in equal.values():
        return []
    query = select(model).filter_by(**equal).order_by(model.id.desc()).limit(limit)
    return list((await session.scalars(query)).all())


async def _events(session: AsyncSession, kind: str, local_id: str | None, limit: int) -> list[EventLogEntry]:
    if local_id is None:
        return []
    query = (
        select(EventLogEntry)
        .where(EventLogEntry.aggregate_type == kind, EventLogEntry.aggregate_id == local_id)
        .order_by(EventLogEntry.event_id.desc())
    )
    return list((await session.scalars(query.limit(limit))).all())


async def _inbox(session: AsyncSession, ids: Sequence[UUID]) -> list[TDSInboxEvent]:
    if not ids:
        return []
    query = select(TDSInboxEvent).where(TDSInboxEvent.id.in_(ids)).order_by(TDSInboxEvent.id.desc())
    return list((await session.scalars(query)).all())
