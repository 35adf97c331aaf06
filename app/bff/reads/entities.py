"""One entity: its ledger row, what waits for it, its row here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Select, TextClause, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.bff.views.entities import EntityDetail, Freshness, LocalRow
from app.core.errors import NotFoundError
from app.tds.models import TDSDeadLetterQueue, TDSEntity, TDSSyncQueue
from app.tds.types import EventStatus

__all__ = ["LOCAL_PARTS", "LOCAL_ROWS", "EntityNotKnownError", "read_entity", "read_local_row", "read_rows"]

# The ERP's rows are read by name: what its columns are is the ERP's business, and only a target may know its classes.
LOCAL_ROWS: Final[Mapping[str, TextClause]] = {
    "product": text("SELECT * FROM erp_products WHERE id = CAST(:id AS uuid)"),
    "customer": text("SELECT * FROM erp_customers WHERE id = CAST(:id AS uuid)"),
}
LOCAL_PARTS: Final[Mapping[str, Mapping[str, TextClause]]] = {
    "product": {},
    "customer": {
        "addresses": text("SELECT * FROM erp_customer_addresses WHERE customer_id = CAST(:id AS uuid) ORDER BY kind"),
        "persons": text("SELECT * FROM erp_contact_persons WHERE customer_id = CAST(:id AS uuid) ORDER BY position"),
    },
}
_JSON: Final = frozenset({"custom_fields"})
_LINK: Final = frozenset({"customer_id", "position"})
_COUNTED: Final = 100
_WAITING: Final = (EventStatus.PENDING, EventStatus.PROCESSING, EventStatus.RETRY)


class EntityNotKnownError(NotFoundError):
    """Nothing is known of this entity: look at its type, its id at the source, and the source."""


async def read_local_row(session: AsyncSession, entity_type: str, local_id: str | None) -> LocalRow | None:
    """The row of an entity, with what belongs to it; None where there is none."""
    if local_id is None or entity_type not in LOCAL_ROWS:
        return None
    found = await read_rows(session, LOCAL_ROWS[entity_type], local_id)
    if not found:
        return None
    parts = {name: await read_rows(session, query, local_id) for name, query in LOCAL_PARTS[entity_type].items()}
    return LocalRow(id=local_id, row=found[0], parts=parts)


async def read_rows(session: AsyncSession, query: TextClause, local_id: str) -> list[dict[str, Any]]:
    """The rows that one of these statements finds, without what only links them."""
    rows = (await session.execute(query, {"id": local_id})).mappings()
    return [{name: _value(name, value) for name, value in row.items() if name not in _LINK} for row in rows]


def _value(name: str, value: Any) -> Any:
    return orjson.loads(value) if name in _JSON and isinstance(value, str) else value


async def read_entity(session: AsyncSession, *, source: str, entity_type: str, source_entity_id: str) -> EntityDetail:
    """An entity by its id at the source.

    Raises:
        EntityNotKnownError: neither the ledger nor the queue nor a dead letter knows of it.
    """
    ledger = await session.get(TDSEntity, (source, entity_type, source_entity_id), populate_existing=True)
    key = {"source": source, "entity_type": entity_type, "source_entity_id": source_entity_id}
    waiting = await _counted(session, select(TDSSyncQueue.id).filter_by(**key).where(TDSSyncQueue.status.in_(_WAITING)))
    letter = TDSDeadLetterQueue
    letters = await _counted(session, select(letter.id).filter_by(**key).where(~letter.resolved))
    if ledger is None and not waiting and not letters:
        raise EntityNotKnownError
    local_id = ledger.local_id if ledger is not None else None
    return EntityDetail(
        **key,
        local_id=local_id,
        deleted=ledger is not None and ledger.deleted,
        version_time=ledger.version_time if ledger is not None else None,
        content_hash=ledger.content_hash.hex() if ledger is not None and ledger.content_hash is not None else None,
        known_since=ledger.created_at if ledger is not None else None,
        freshness=_freshness(ledger, waiting, letters),
        local=await read_local_row(session, entity_type, local_id),
    )


async def _counted(session: AsyncSession, query: Select[Any]) -> int:
    """How many rows there are, counted up to a hundred."""
    return await session.scalar(select(func.count()).select_from(query.limit(_COUNTED).subquery())) or 0


def _freshness(ledger: TDSEntity | None, waiting: int, letters: int) -> Freshness:
    if letters:
        state = "failed"
    elif waiting:
        state = "changes_waiting"
    elif ledger is not None and ledger.deleted:
        state = "deleted"
    else:
        state = "in_step" if ledger is not None and ledger.local_id is not None else "never_applied"
    return Freshness(
        state=state,
        waiting=waiting,
        open_letters=letters,
        last_applied_at=ledger.last_applied_at if ledger is not None else None,
        last_verified_at=ledger.last_verified_at if ledger is not None else None,
    )
