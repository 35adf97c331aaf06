"""The campaign's own PostgreSQL: the embedded server with fsync on, and what can be done to it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

import asyncpg

from app.core.embedded import ConnectionInfo, EmbeddedPostgres
from app.core.embedded.keeper import SOCKET_NAME, Postmaster
from app.migrations.runner import upgrade

__all__ = ["DATABASE", "Connection", "Postgres", "RestartMode"]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
RestartMode: TypeAlias = Literal["fast", "immediate"]

DATABASE: Final = "tds"
MAX_CONNECTIONS: Final = 70
_SETTINGS: Final[Mapping[str, str]] = {"max_connections": str(MAX_CONNECTIONS), "autovacuum_naptime": "5s"}
_SIGNALS: Final[Mapping[RestartMode, signal.Signals]] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_POLL: Final = 0.01
_OWN_NAME: Final = "tds-faults"


class Postgres:
    """One server in one home. Durability is part of what is tested, so nothing is switched off."""

    def __init__(self, home: Path) -> None:
        self._server = EmbeddedPostgres(home, settings=_SETTINGS)
        self._postmaster = Postmaster(str(home / "postgres" / "data"))
        self._connection: ConnectionInfo | None = None

    async def start(self) -> None:
        """Start it, and bring a new database to the newest schema."""
        self._connection = await asyncio.to_thread(self._server.start)
        await asyncio.to_thread(self._server.ensure_database, DATABASE)
        await asyncio.to_thread(upgrade, self.url)

    async def stop(self) -> None:
        """Stop it; no process of it is left."""
        await asyncio.to_thread(self._server.stop_using)

    @property
    def info(self) -> ConnectionInfo:
        """How to reach it directly, beside all proxies."""
        if self._connection is None:
            raise RuntimeError("the campaign's PostgreSQL is not started")
        return self._connection

    @property
    def url(self) -> str:
        """The database's URL for SQLAlchemy."""
        return self.info.url(DATABASE)

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        return str(self.info.socket_dir / SOCKET_NAME)

    async def connect(self) -> Connection:
        """A new connection of the campaign's, which `terminate_backends` spares."""
        return await asyncpg.connect(
            host=str(self.info.socket_dir),
            port=5432,
            user=self.info.user,
            database=DATABASE,
            server_settings={"application_name": _OWN_NAME},
        )

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """The same, closed at the end."""
        connection = await self.connect()
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    async def restart(self, mode: RestartMode) -> None:
        """Shut it down, fast or immediately, and start it again once every process of it is gone."""
        pid = self._postmaster.pid
        if pid is None:
            raise RuntimeError("the campaign's PostgreSQL does not run")
        os.kill(pid, _SIGNALS[mode])
        while self._postmaster.pid == pid and self._postmaster.is_alive:  # noqa: ASYNC110 - no child of ours
            await asyncio.sleep(_POLL)
        self._connection = await asyncio.to_thread(self._server.start)

    async def terminate_backends(self, connection: Connection, *, like: str = "%") -> int:
        """End the backends of the application whose name is like that; how many there were."""
        ended = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = $1 AND application_name <> $2 AND application_name LIKE $3",
            DATABASE,
            _OWN_NAME,
            like,
        )
        return int(ended)
