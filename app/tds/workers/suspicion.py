"""Whose an error of the whole transaction is that comes again and again: the database's, or one item's.

Most such errors (a deadlock, a lock that was not got) pass by themselves, so the batch is given back and nothing is
spent. But an item whose write runs into ``statement_timeout``, or a target that swallows an error and so leaves the
transaction aborted, would be given back for ever, and its companions with it. After three in a row the items are
claimed one at a time, and the one that brings such an error about alone has failed itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import TdsError
from app.tds.core.apply import Applier
from app.tds.core.ports import Applied, Assignment, Rejected, Target
from app.tds.core.retry import sqlstate
from app.tds.types import EntityType

__all__ = ["Suspicion", "TransactionAbortedError", "blaming", "may_be_an_items"]

_MAY_BE_AN_ITEMS: Final = ("25P", "40", "55P03", "57014")
_PATIENCE: Final = 3


class TransactionAbortedError(TdsError):
    """An item, written alone, brought its transaction down; ``orig`` is the database's error."""

    def __init__(self, error: Exception) -> None:
        self.orig = getattr(error, "orig", error)
        super().__init__(str(error))


def may_be_an_items(error: Exception) -> bool:
    """Whether the database is there and well, and what was written may have brought this about.

    SQLSTATEs after PostgreSQL's documentation, appendix A: transaction aborted, rollback, lock not available, query
    cancelled.
    """
    return sqlstate(error).startswith(_MAY_BE_AN_ITEMS)


@dataclass(slots=True)
class Suspicion:
    """Counts such batches; ``alone`` is how many items are still to be claimed one at a time."""

    in_a_row: int = 0
    alone: int = 0

    def failed(self, size: int) -> None:
        """A batch of this size was brought down."""
        self.in_a_row += 1
        if self.in_a_row >= _PATIENCE:
            self.alone = max(self.alone, size)

    def passed(self) -> None:
        """A batch was applied."""
        self.in_a_row, self.alone = 0, max(0, self.alone - 1)

    def found(self) -> None:
        """The culprit has failed alone."""
        self.in_a_row = self.alone = 0


@dataclass(frozen=True, slots=True)
class _Failing:
    """A target that fails as the real one did, without bringing the transaction down."""

    error: Exception

    async def apply(
        self, session: AsyncSession, entity_type: EntityType, assignments: Sequence[Assignment]
    ) -> Sequence[Applied | Rejected]:
        """Fail."""
        del session, entity_type, assignments
        raise TransactionAbortedError(self.error)


def blaming(applier: Applier, error: Exception) -> Applier:
    """The same applier, for which every item fails with ``error``, by its entity type's retry policy."""
    targets: Mapping[EntityType, Target] = dict.fromkeys(applier.targets, _Failing(error))
    return replace(applier, targets=targets)
