"""Whose database it is. The demo empties only a database that bears its mark, and marks only one without data.

The mark is the comment on the schema ``public``: it lives and dies with the data.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from app.cli.terminal import warn
from app.core.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from app.core.database import Database

__all__ = ["MARK", "OWN_CHILD", "DatabaseInUseError", "NotTheDemosError", "claim", "is_marked", "warn_of_demo"]

MARK: Final = "tds demo: made-up data, emptied when a demo starts"
OWN_CHILD: Final = "TDS_DEMO_CHILD"
"""Set for the processes that the demo itself starts."""
_COMMENT: Final = "SELECT obj_description(to_regnamespace('public'), 'pg_namespace')"
_TABLES: Final = """
    SELECT nspname, relname, format('%I.%I', nspname, relname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence <> 't'
      AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
    ORDER BY nspname, relname
"""
_OTHERS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_MARKED: Final = f"COMMENT ON SCHEMA public IS '{MARK}'"
_EMPTIED: Final = ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", _MARKED)
_WITHOUT_DATA: Final = frozenset({"alembic_version", "epochs", "login_attempts", "tds_workers"})
_MODULES: Final = ("tds_", "erp_")
_LOOKS: Final = 30
_PAUSE_SECONDS: Final = 0.1
_ELSEWHERE: Final = "give the demo another home (TDS_HOME=/some/folder tds demo) or another database (TDS_DATABASE_URL)"


class NotTheDemosError(ConfigurationError):
    """The database holds data that is not the demo's."""

    def __init__(self, table: str, where: str) -> None:
        super().__init__(
            f"the database {where} holds data that is not the demo's (in {table}), and the demo does not touch it: "
            + _ELSEWHERE
        )


class DatabaseInUseError(ConfigurationError):
    """Somebody else uses the database that the demo would empty."""

    def __init__(self, others: int, where: str) -> None:
        uses = "1 other connection" if others == 1 else f"{others} other connections"
        super().__init__(
            f"the demo's database {where} is in use ({uses}): end the other tds processes first, or {_ELSEWHERE}"
        )


async def claim(database: Database, where: str, *, keep: bool) -> None:
    """Make the database the demo's: empty and marked. With ``keep`` what an earlier demo left stays.

    Raises:
        NotTheDemosError: it holds other data; DatabaseInUseError: it would be emptied under somebody's feet.
    """
    async with database.engine.begin() as connection:
        if not await _bears_mark(connection):
            await _refuse_foreign(connection, where)
            await connection.exec_driver_sql(_MARKED)
        elif not keep:
            await _refuse_used(connection, where)
            for statement in _EMPTIED:
                await connection.exec_driver_sql(statement)


async def is_marked(database: Database) -> bool:
    """Whether it is a demo's."""
    async with database.engine.connect() as connection:
        return await _bears_mark(connection)


async def warn_of_demo(database: Database) -> None:
    """Tell whoever works with real data that this is no place for it."""
    if OWN_CHILD not in os.environ and await is_marked(database):
        warn(
            'This database is a demo\'s, and the next "tds demo" empties it: for data of yours, set TDS_HOME or '
            "TDS_DATABASE_URL."
        )


async def _bears_mark(connection: AsyncConnection) -> bool:
    return (await connection.exec_driver_sql(_COMMENT)).scalar() == MARK


async def _refuse_foreign(connection: AsyncConnection, where: str) -> None:
    """Tables of TDS without rows are no data: a look at the status makes them. Other tables are somebody's."""
    from app.core.events.models import EventLogEntry, EventSubscription
    from app.core.models import ApiToken, BrowserSession, CircuitBreaker, Lock, RateBudget

    models = (ApiToken, BrowserSession, CircuitBreaker, EventLogEntry, EventSubscription, Lock, RateBudget)
    kernel = {model.__tablename__ for model in models}
    for row in (await connection.exec_driver_sql(_TABLES)).all():
        schema, name, quoted = map(str, row)
        if schema != "public" or not (name in kernel | _WITHOUT_DATA or name.startswith(_MODULES)):
            raise NotTheDemosError(f"{schema}.{name}", where)
        if name in _WITHOUT_DATA:
            continue
        if (await connection.exec_driver_sql(f"SELECT EXISTS (SELECT FROM {quoted})")).scalar():  # noqa: S608 - by format()
            raise NotTheDemosError(name, where)


async def _refuse_used(connection: AsyncConnection, where: str) -> None:
    """A process that has just ended may still be seen for a moment."""
    others = 0
    for _ in range(_LOOKS):
        await connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
        others = (await connection.exec_driver_sql(_OTHERS)).scalar() or 0
        if not others:
            return
        await asyncio.sleep(_PAUSE_SECONDS)
    raise DatabaseInUseError(others, where)
