"""The local ERP as a target: canonical documents become rows of ``app.erp``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.tds.core.ports import Applied, Assignment, Rejected, Target
from app.tds.targets.customers import apply_customers
from app.tds.targets.products import apply_products
from app.tds.types import EntityType

__all__ = ["ErpTarget", "erp_targets"]

_Writer = Callable[[AsyncSession, Sequence[Assignment]], Awaitable[Sequence[Applied | Rejected]]]

_WRITERS: Final[dict[EntityType, _Writer]] = {
    EntityType.PRODUCT: apply_products,
    EntityType.CUSTOMER: apply_customers,
}


class ErpTarget:
    """Writes products and customers inside the caller's transaction."""

    async def apply(
        self, session: AsyncSession, entity_type: EntityType, assignments: Sequence[Assignment]
    ) -> Sequence[Applied | Rejected]:
        """One result an assignment, in order; a fixed number of statements."""
        return await _WRITERS[entity_type](session, assignments)


def erp_targets() -> dict[EntityType, Target]:
    """Which entity types the ERP takes."""
    target = ErpTarget()
    return dict.fromkeys(_WRITERS, target)
