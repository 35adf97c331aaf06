"""The PostgreSQL that a benchmark runs on, and databases of its own on it.

``TDS_BENCH_DATABASE_URL``, else ``TDS_DATABASE_URL``, names a server whose role may create databases. Without them
the embedded server is started in a temporary home, with the settings that it has in production, and is gone at the end.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.errors import ConfigurationError
from app.migrations.runner import upgrade_engine

__all__ = ["BenchServer", "bench_server", "connected", "opened"]

VARIABLES: Final = ("TDS_BENCH_DATABASE_URL", "TDS_DATABASE_URL")
_SHOWN: Final = (
    *("synchronous_commit", "fsync", "full_page_writes", "shared_buffers", "max_wal_size", "wal_level"),
    *("autovacuum", "max_connections", "shared_preload_libraries"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchServer:
    """A running server. ``url`` leads to its database ``postgres``; ``settings`` are those that bear on speed."""

    url: str
    kind: str
    version: str
    settings: dict[str, str]

    def database_url(self, name: str) -> str:
        """The URL of a database, as libpq and asyncpg read it."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    @asynccontextmanager
    async def fresh_database(self, *, migrated: bool = True) -> AsyncGenerator[str]:
        """The URL of a new database with the newest schema, dropped at the end with whoever is connected to it."""
        name = f"tds_bench_{uuid4().hex[:10]}"
        async with connected(self.url) as admin:
            await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            if migrated:
                async with opened(self.database_url(name)) as database:
                    await upgrade_engine(database.engine)
            yield self.database_url(name)
        finally:
            async with connected(self.url) as admin:
                await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[asyncpg.Connection[Any]]:
    """A connection of asyncpg's own, closed at the end."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def opened(url: str, *, pool_size: int = 4) -> AsyncGenerator[Database]:
    """The application's database object; its statements may take as long as they need."""
    database = Database(url, DatabaseSettings(pool_size=pool_size, statement_seconds=None))
    try:
        yield database
    finally:
        await database.dispose()


@asynccontextmanager
async def bench_server() -> AsyncGenerator[BenchServer]:
    """The server to measure on.

    Raises:
        ConfigurationError: the server named by the environment does not let us in.
        EmbeddedPostgresError: there is none named, and the embedded one cannot be started.
    """
    for variable in VARIABLES:
        if url := os.environ.get(variable):
            yield await _described(_plain(url), kind=f"named by {variable}")
            return
    async with _embedded() as url:
        yield await _described(url, kind="embedded")


@asynccontextmanager
async def _embedded() -> AsyncGenerator[str]:
    from app.core.embedded import EmbeddedPostgres

    home = _temporary_home()
    server = EmbeddedPostgres(home)
    try:
        connection = await asyncio.to_thread(server.start)
        yield _plain(connection.url("postgres"))
    finally:
        await asyncio.shield(asyncio.to_thread(server.stop_using))
        shutil.rmtree(home, ignore_errors=True)


def _temporary_home() -> Path:
    """A folder with a short path, as a socket's must be; under root the server's own account passes through it."""
    home = Path(tempfile.mkdtemp(prefix="tds-bench-", dir="/tmp"))
    if os.geteuid() == 0:
        home.chmod(0o711)
    return home


def _plain(url: str) -> str:
    return f"postgresql://{url.partition('://')[2]}"


async def _described(url: str, *, kind: str) -> BenchServer:
    try:
        async with connected(url) as connection:
            rows = await connection.fetch("SELECT name, current_setting(name) AS value FROM pg_settings")
            version = str(await connection.fetchval("SHOW server_version"))
    except (OSError, asyncpg.PostgresError) as error:
        raise ConfigurationError(
            f"the benchmark's PostgreSQL ({kind}) does not let us in ({error}): see that it runs, or unset "
            f"{' and '.join(VARIABLES)} to measure on the embedded one"
        ) from error
    settings = {row["name"]: row["value"] for row in rows}
    return BenchServer(
        url=url, kind=kind, version=version, settings={name: settings[name] for name in _SHOWN if name in settings}
    )
