"""Epochs: one number for each family of cached answers, raised in the transaction that makes them stale.

A cached answer is good for the epoch it was made in. Raising an epoch is part of the change itself, so every process
that looks afterwards sees it: correctness depends neither on NOTIFY nor on a shared cache. Looking costs one statement,
which all who ask at the same time share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, TypeAlias, cast

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from app.core.database import Database

__all__ = ["ACCESS", "INSTALLATION", "VIEWS", "EpochReader", "Epochs", "raise_epoch", "read_epochs"]

VIEWS: Final = "views"
"""What people see: raised by each of their actions."""
ACCESS: Final = "access"
"""Who may do what: raised when a token or a session ends or changes."""

INSTALLATION: Final = "installation"
"""A number of this database's own, drawn when it was made: what shares a cache with others names itself by it."""

Epochs: TypeAlias = Mapping[str, int]

_KEY: Final = "tds_raised_epochs"
_READ: Final = text("SELECT name, epoch FROM epochs")
_RAISE: Final = text("""
    INSERT INTO epochs AS known (name, epoch)
    SELECT name, 1 FROM unnest(CAST(:names AS text[])) AS raised (name) ORDER BY name
    ON CONFLICT (name) DO UPDATE SET epoch = known.epoch + 1
""")


def raise_epoch(session: AsyncSession, name: str) -> None:
    """Make all answers of this family stale as of the commit of the session's transaction.

    Written just before the commit, as the transaction's last statement: its row lock is held for a moment only, and
    nobody waits for anything else while holding it.
    """
    raised = cast("set[str]", session.sync_session.info.setdefault(_KEY, set()))
    raised.add(name)


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    if session.in_nested_transaction():
        return  # a savepoint's end is not the commit
    if raised := cast("set[str] | None", session.info.pop(_KEY, None)):
        session.flush()
        session.execute(_RAISE, {"names": sorted(raised)})


@event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:  # what a savepoint raised and undid is raised all the same: that costs a look
        session.info.pop(_KEY, None)


async def read_epochs(session: AsyncSession) -> Epochs:
    """All epochs, as of the session's newest statement."""
    return {row.name: row.epoch for row in await session.execute(_READ)}


class EpochReader:
    """Reads epochs for many at once: whoever asks joins the next read that has not begun.

    So an answer is never older than its question, and a thousand questions cost a few statements.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next: asyncio.Task[Epochs] | None = None
        self._running = asyncio.Lock()

    async def current(self) -> Epochs:
        """The epochs as of now or later.

        Raises:
            DBAPIError, OSError: the database does not answer.
        """
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._read())
        return await asyncio.shield(self._next)

    async def _read(self) -> Epochs:
        async with self._running:
            self._next = None  # who asks from here on may have changed something that this read does not see
            async with self._database.engine.connect() as connection:
                autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
                return {row.name: row.epoch for row in await autocommit.execute(_READ)}
