"""What the local system of record holds: its tables, read by plain SQL."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["read_customers", "read_products"]

Row = dict[str, Any]

_PRODUCTS: Final = text("""
    SELECT entity.source_entity_id AS source_id, row.* FROM erp_products AS row
    LEFT JOIN tds_entities AS entity ON entity.local_id = CAST(row.id AS text) AND entity.entity_type = 'product'
""")
_CUSTOMERS: Final = text("""
    SELECT entity.source_entity_id AS source_id, row.* FROM erp_customers AS row
    LEFT JOIN tds_entities AS entity ON entity.local_id = CAST(row.id AS text) AND entity.entity_type = 'customer'
""")
_ADDRESSES: Final = text("SELECT * FROM erp_customer_addresses")
_PERSONS: Final = text("SELECT * FROM erp_contact_persons ORDER BY customer_id, position")


async def read_products(session: AsyncSession) -> dict[str, Row]:
    """All products by their id at the source; one that has none by its own."""
    return {_key(row): row for row in await _rows(session, _PRODUCTS)}


async def read_customers(session: AsyncSession) -> dict[str, Row]:
    """All customers, with ``billing_address``, ``shipping_address`` and ``contact_persons`` in their rows."""
    customers = {row["id"]: row for row in await _rows(session, _CUSTOMERS)}
    persons: defaultdict[Any, list[Row]] = defaultdict(list)
    for person in await _rows(session, _PERSONS):
        persons[person["customer_id"]].append(person)
    for identifier, row in customers.items():
        row.update(billing_address=None, shipping_address=None, contact_persons=persons[identifier])
    for address in await _rows(session, _ADDRESSES):
        customers[address["customer_id"]][f"{address['kind']}_address"] = address
    return {_key(row): row for row in customers.values()}


def _key(row: Mapping[str, Any]) -> str:
    return row["source_id"] or f"(here only) {row['id']}"


async def _rows(session: AsyncSession, query: Any) -> list[Row]:
    return [_parsed(dict(row)) for row in (await session.execute(query)).mappings()]


def _parsed(row: Row) -> Row:
    if isinstance(row.get("custom_fields"), str):
        row["custom_fields"] = json.loads(row["custom_fields"])
    return row
