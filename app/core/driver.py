"""Statements given straight to the driver, inside the transaction of a session.

For what is sent again and again: between a session and the driver lie layers that know nothing of a statement which is
text with arrays, and take longer over it than the server does. Nothing else changes: the session begins and ends the
transaction, statements are prepared once a connection, and errors are SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import CursorResult, TextClause
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import SessionTransaction

__all__ = ["AUTOCOMMIT", "Record", "fetch"]

AUTOCOMMIT: Final = "tds_autocommit"
"""Key in ``Session.info``: its statements are to be transactions of their own."""

_drivers: Final[WeakKeyDictionary[SessionTransaction, asyncpg.Connection[Any]]] = WeakKeyDictionary()

_ERRORS: Final[Mapping[str, type[DBAPIError]]] = {
    "08": OperationalError,
    "22": DataError,
    "23": IntegrityError,
    "53": OperationalError,
    "57": OperationalError,
}


class Record(asyncpg.Record):
    """A row whose columns are attributes too, as those of SQLAlchemy's rows."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class _Compiled(NamedTuple):
    sql: str
    names: tuple[str, ...]


@cache
def _compiled(clause: TextClause) -> _Compiled:
    """The text with numbered parameters, and their names in that order."""
    compiled = clause.compile(dialect=PGDialect_asyncpg())
    return _Compiled(str(compiled), tuple(compiled.positiontup or ()))


async def fetch(session: AsyncSession, clause: TextClause, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """Run a statement; its rows, if it returns any.

    The first statement of a transaction goes through the session, which begins the transaction with it. So do all
    while somebody listens to what the engine sends.

    Raises:
        DBAPIError: the database refuses it, or is gone.
    """
    driver = await _driver(session)
    if driver is None or not (driver.is_in_transaction() or AUTOCOMMIT in session.info):
        result = await session.execute(clause, parameters)
        return result.all() if isinstance(result, CursorResult) and result.returns_rows else ()
    if session.new or session.dirty or session.deleted:
        await session.flush()
    sql, names = _compiled(clause)
    try:
        return await driver.fetch(sql, *[parameters[name] for name in names], record_class=Record)
    except asyncpg.PostgresError as error:
        kind = _ERRORS.get(error.sqlstate[:2], DBAPIError) if error.sqlstate else DBAPIError
        raise kind(sql, None, error, connection_invalidated=driver.is_closed()) from error
    except asyncpg.InterfaceError as error:
        raise InterfaceError(sql, None, error, connection_invalidated=driver.is_closed()) from error


async def _driver(session: AsyncSession) -> asyncpg.Connection[Any] | None:
    """The connection of the session's transaction; None where somebody listens to its statements.

    It is kept for as long as the session is in the same transaction or savepoint: a new savepoint is only made when the
    session is asked for its connection.
    """
    transaction = _innermost(session)
    if transaction is not None and transaction.is_active and (kept := _drivers.get(transaction)) is not None:
        return kept
    connection = await session.connection()
    if connection.sync_connection is None or connection.sync_connection.engine.dispatch.before_cursor_execute:
        return None
    driver = (await connection.get_raw_connection()).driver_connection
    if driver is not None and (begun := _innermost(session)) is not None:
        _drivers[begun] = driver
    return driver


def _innermost(session: AsyncSession) -> SessionTransaction | None:
    return session.sync_session.get_nested_transaction() or session.sync_session.get_transaction()
