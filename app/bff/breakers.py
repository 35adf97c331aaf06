"""Circuit breakers, as a person looks at and resets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.errors import NotFoundError
from app.core.models import CircuitBreaker
from app.tds.core.audit import AuditEntry, record_action
from app.tds.types import OperationType

__all__ = ["BreakerNotFoundError", "list_breakers", "reset_breaker"]

_MOST: Final = 200


class BreakerNotFoundError(NotFoundError):
    """There is no circuit breaker of that name: none of its calls has failed yet, or the name is misspelt."""


async def list_breakers(session: AsyncSession) -> Sequence[CircuitBreaker]:
    """All of them, one for each outside API that has been called, by name."""
    async with join_or_begin(session):
        return (await session.scalars(select(CircuitBreaker).order_by(CircuitBreaker.name).limit(_MOST))).all()


async def reset_breaker(session: AsyncSession, name: str, *, actor: str) -> CircuitBreaker:
    """Close a breaker, so that the next call goes through. Resetting a closed one forgets its failures.

    Raises:
        BreakerNotFoundError: there is none of that name.
    """
    query = select(CircuitBreaker).where(CircuitBreaker.name == name).with_for_update()
    async with join_or_begin(session):
        breaker = (await session.execute(query, execution_options={"populate_existing": True})).scalar_one_or_none()
        if breaker is None:
            raise BreakerNotFoundError
        before = {"state": breaker.state, "failures": breaker.failures, "last_error": breaker.last_error}
        breaker.state, breaker.failures = "closed", 0
        breaker.opened_at = breaker.retry_at = breaker.last_error = None
        breaker.updated_at = (await session.execute(select(func.now()))).scalar_one()
        await session.flush()
        await record_action(session, [_audited(breaker, before, actor)])
    return breaker


def _audited(breaker: CircuitBreaker, before: Mapping[str, object], actor: str) -> AuditEntry:
    after = {"state": breaker.state, "failures": breaker.failures, "last_error": breaker.last_error}
    return AuditEntry(
        entity_type="breaker",
        entity_id=breaker.name,
        source_entity_id=None,
        operation=OperationType.UPDATE,
        before=before,
        after=after,
        changed=sorted(name for name, value in after.items() if value != before[name]),
        change_source="manual",
        actor=actor,
    )
