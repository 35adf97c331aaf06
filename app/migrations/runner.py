"""Bring a database to the newest schema, and say how far it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.clock import utc_now
from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.errors import TdsError
from app.core.partitions import ensure_partitions

__all__ = ["NewerSchemaError", "SchemaStatus", "schema_status", "upgrade", "upgrade_engine"]


class NewerSchemaError(TdsError):
    """The database was migrated by a newer TDS than this one: run that version, or a newer one."""


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """``current`` is None for an empty database; ``pending`` lists revisions to run, oldest first."""

    current: str | None
    head: str
    pending: tuple[str, ...]

    @property
    def up_to_date(self) -> bool:
        """Whether there is nothing to run."""
        return not self.pending


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def _status(connection: Connection) -> SchemaStatus:
    scripts = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in reversed(list(scripts.walk_revisions()))]
    if current is not None and current not in known:
        raise NewerSchemaError
    done = known.index(current) + 1 if current else 0
    return SchemaStatus(current=current, head=known[-1], pending=tuple(known[done:]))


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def schema_status(engine: AsyncEngine) -> SchemaStatus:
    """Where the database stands.

    Raises:
        NewerSchemaError: its revision is not known here.
    """
    async with engine.connect() as connection:
        return await connection.run_sync(_status)


async def upgrade_engine(engine: AsyncEngine) -> SchemaStatus:
    """Run what is pending, in one transaction, then make partitions; returns the status from before."""
    before = await schema_status(engine)
    if not before.up_to_date:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
            await connection.commit()
    async with engine.begin() as connection:
        await ensure_partitions(connection, utc_now())
    return before


async def _upgrade_url(url: str) -> None:
    database = Database(url, DatabaseSettings(statement_seconds=None))
    try:
        await upgrade_engine(database.engine)
    finally:
        await database.dispose()


def upgrade(url: str) -> None:
    """The same for a URL, outside any event loop."""
    asyncio.run(_upgrade_url(url))
