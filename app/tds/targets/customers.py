"""Customers: a row each, with addresses and contact persons in tables of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Uuid, any_, bindparam, delete, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.driver import fetch
from app.erp.models import ContactPerson as PersonRow
from app.erp.models import Customer, CustomerAddress
from app.tds.core.ports import Applied, Assignment, Rejected
from app.tds.documents import Address, ContactPerson, CustomerDocument
from app.tds.sql import statement
from app.tds.targets.rows import Plan, known_ids, plan, rows_by_id, to_rows, write_all

__all__ = ["apply_customers"]

_IDS: Final = bindparam("ids", type_=ARRAY(Uuid))
_KINDS: Final = ("billing", "shipping")
_NESTED: Final = ("billing_address", "shipping_address", "contact_persons")
_COLUMNS: Final = [name for name in CustomerDocument.model_fields if name not in _NESTED]
_READ: Final = rows_by_id(Customer.id, *(getattr(Customer, name) for name in _COLUMNS))
_READ_ADDRESSES: Final = select(CustomerAddress.__table__).where(CustomerAddress.customer_id == any_(_IDS))
_READ_PERSONS: Final = (
    select(PersonRow.__table__).where(PersonRow.customer_id == any_(_IDS)).order_by(PersonRow.position)
)
_DELETE: Final = delete(Customer).where(Customer.id == any_(_IDS))


async def _read(session: AsyncSession, ids: Sequence[UUID]) -> dict[str, dict[str, Any]]:
    """Canonical fields by id, nested documents included."""
    if not ids:
        return {}
    wanted = {"ids": list(ids)}
    found: dict[str, dict[str, Any]] = {}
    for row in (await session.execute(_READ, wanted)).mappings():
        nested: dict[str, Any] = {"billing_address": None, "shipping_address": None, "contact_persons": []}
        found[str(row["id"])] = {**{name: row[name] for name in _COLUMNS}, **nested}
    for row in (await session.execute(_READ_ADDRESSES, wanted)).mappings():
        values = {name: row[name] for name in Address.model_fields}
        found[str(row["customer_id"])][f"{row['kind']}_address"] = Address.model_construct(**values)
    for row in (await session.execute(_READ_PERSONS, wanted)).mappings():
        person = ContactPerson.model_construct(**{name: row[name] for name in ContactPerson.model_fields})
        found[str(row["customer_id"])]["contact_persons"].append(person)
    return found


async def apply_customers(session: AsyncSession, assignments: Sequence[Assignment]) -> list[Applied | Rejected]:
    """Write customer changes: three reads, at most one delete and three writes."""
    existing = await _read(session, known_ids(assignments))
    made = plan(assignments, existing)
    if made.deleted:
        await session.execute(
            _DELETE,
            {"ids": [UUID(identifier) for identifier in made.deleted]},
            execution_options={"synchronize_session": False},
        )
    if made.rows:
        await _write(session, made, _parents(assignments, made))
    return made.results


def _parents(assignments: Sequence[Assignment], made: Plan) -> dict[str | None, str]:
    """Local ids of parents by the local ids of their children, where a change names a parent."""
    return {
        result.local_id: assignment.references["parent_source_id"]
        for assignment, result in zip(assignments, made.results, strict=True)
        if isinstance(result, Applied) and "parent_source_id" in assignment.references
    }


async def _write(session: AsyncSession, made: Plan, parents: Mapping[str | None, str]) -> None:
    rows = [
        {"id": identifier, "parent_id": parents.get(identifier), **{name: row[name] for name in _COLUMNS}}
        for identifier, row in made.rows.items()
    ]
    ids = list(made.rows)
    await write_all(session, statement("write_customers"), rows)
    addresses = to_rows(list(_addresses(made.rows)))
    await fetch(session, statement("replace_addresses"), {"customer_ids": ids, "rows": addresses})
    persons = to_rows(list(_persons(made.rows)))
    await fetch(session, statement("replace_persons"), {"customer_ids": ids, "rows": persons})


def _addresses(rows: Mapping[str, Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for identifier, row in rows.items():
        for kind in _KINDS:
            if (address := row[f"{kind}_address"]) is not None:
                yield {"customer_id": identifier, "kind": kind, **address}


def _persons(rows: Mapping[str, Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for identifier, row in rows.items():
        for position, person in enumerate(row["contact_persons"]):
            yield {"customer_id": identifier, "position": position, **person}
