"""Products: one table, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Uuid, any_, bindparam, delete
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from app.erp.models import Product
from app.tds.core.ports import Applied, Assignment, Rejected
from app.tds.documents import ProductDocument
from app.tds.sql import statement
from app.tds.targets.rows import known_ids, plan, rows_by_id, write_all

__all__ = ["apply_products"]

_IDS: Final = bindparam("ids", type_=ARRAY(Uuid))
_FIELDS: Final = [getattr(Product, name) for name in ProductDocument.model_fields]
_READ: Final = rows_by_id(Product.id, *_FIELDS)
_DELETE: Final = delete(Product).where(Product.id == any_(_IDS))


async def _read(session: AsyncSession, ids: Sequence[UUID]) -> dict[str, dict[str, Any]]:
    if not ids:
        return {}
    rows = (await session.execute(_READ, {"ids": list(ids)})).mappings()
    return {str(row["id"]): {name: value for name, value in row.items() if name != "id"} for row in rows}


async def apply_products(session: AsyncSession, assignments: Sequence[Assignment]) -> list[Applied | Rejected]:
    """Write product changes: a read, at most one delete and one write."""
    existing = await _read(session, known_ids(assignments))
    made = plan(assignments, existing)
    if made.deleted:
        await session.execute(
            _DELETE,
            {"ids": [UUID(identifier) for identifier in made.deleted]},
            execution_options={"synchronize_session": False},
        )
    if made.rows:
        rows = [{"id": identifier, **row} for identifier, row in made.rows.items()]
        await write_all(session, statement("write_products"), rows)
    return made.results
