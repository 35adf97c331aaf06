"""Epochs: one number for each family of cached answers, raised in the transaction that makes them stale.

A cached answer is good for the epoch it was made in. Raising an epoch is part of the change itself, so every process
that looks afterwards sees it: correctness depends neither on NOTIFY nor on a shared cache. Looking costs one statement,
which all who ask at the same time share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from app.core.database import Database

__all__ = ["ACCESS", "INSTALLATION", "VIEWS", "EpochReader", "Epochs", "raise_epoch"]

VIEWS: Final = "views"
"""What people see: raised by each of their actions."""
ACCESS: Final = "access"
"""Who may do what: raised when a token or a session ends or changes."""

INSTALLATION: Final = "installation"
"""A number of this database's own, drawn when it was made: what shares a cache with others names itself by it."""

Epochs: TypeAlias = Mapping[str, int]

_KEY: Final = "tds_raised_epochs"
_READ: Final = "SELECT name, epoch FROM epochs"
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


class EpochReader:
    """Reads epochs for many at once: whoever asks joins the next read that has not begun.

    So an answer is never older than its question, and a thousand questions cost a few statements. They are sent by the
    driver itself: they are made for almost every request.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[asyncio.Future[Epochs]] = []
        self._reading: asyncio.Task[None] | None = None

    def current(self) -> asyncio.Future[Epochs]:
        """The epochs as of now or later.

        Raises:
            DBAPIError, OSError: the database does not answer.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Epochs] = loop.create_future()
        self._waiting.append(answer)
        if self._reading is None:
            self._reading = loop.create_task(self._read_on())
        return answer

    async def settle(self) -> None:
        """Wait until nobody waits for an answer, and the connection is given back."""
        while self._reading is not None:
            await asyncio.shield(self._reading)

    async def _read_on(self) -> None:
        """Read for all who wait, and again for those who come meanwhile: they may know of something newer.

        One connection of the pool serves as long as somebody waits. One that fails is tried anew, once: it may have
        been cut, and nobody had noticed.
        """
        failed = False
        try:
            while self._waiting:
                try:
                    async with self._database.engine.connect() as connection:
                        driver = (await connection.get_raw_connection()).driver_connection
                        await self._answer_all(cast("asyncpg.Connection[Any]", driver))
                    failed = False
                except Exception as error:  # noqa: BLE001 - whatever it is, it is told to those who asked
                    if failed:
                        waiting, self._waiting = self._waiting, []
                        _tell(waiting, error=_as_database_error(error))
                    failed = not failed
        finally:
            self._reading = None

    async def _answer_all(self, driver: asyncpg.Connection[Any]) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # whoever is about to ask in this turn of the loop is answered along
            asked, self._waiting = self._waiting, []
            try:
                _tell(asked, epochs=dict(await driver.fetch(_READ)))
            except BaseException:
                self._waiting = asked + self._waiting
                raise


def _as_database_error(error: Exception) -> Exception:
    """What the driver raises by itself, as SQLAlchemy would."""
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return OperationalError(_READ, None, error)
    return error


def _tell(
    waiting: Sequence[asyncio.Future[Epochs]], *, epochs: Epochs | None = None, error: Exception | None = None
) -> None:
    for one in waiting:
        if one.done():  # its asker has gone
            continue
        if error is not None:
            one.set_exception(error)
        else:
            one.set_result(epochs or {})
