"""The embedded PostgreSQL as its users see it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from app.core.embedded.account import server_account, this_account
from app.core.embedded.connection import ConnectionInfo
from app.core.embedded.directories import prepare_root
from app.core.embedded.errors import EmbeddedPostgresError
from app.core.embedded.installation import find_installation
from app.core.embedded.keeper import SOCKET_PORT
from app.core.embedded.layout import Layout
from app.core.embedded.lease import Lease
from app.core.embedded.server import Server

__all__ = ["EmbeddedPostgres"]

CREATE_DATABASE = r"""
SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
"""


class EmbeddedPostgres:
    """The server whose files are in ``<home>/postgres``, shared with every other process that uses that home.

    The calls block, for about a second where the server has to be started: use ``asyncio.to_thread``. The
    first user's ``settings`` (names and values of postgresql.conf) hold for all until the server stops.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._layout = Layout.below(home)
        self._settings = dict(settings or {})
        self._lease = Lease(self._layout)
        self._connection: ConnectionInfo | None = None

    def start(self) -> ConnectionInfo:
        """Use the server, and start it if it does not run. Once more if it does: brings back one that was killed.

        Raises:
            EmbeddedPostgresError: it cannot be started; the message is one line and says what to do.
        """
        with self._explained():
            account = server_account()
            prepare_root(self._layout, account)
            with self._lease.turn():
                return self._start(Server(self._layout, account, self._settings))

    def _start(self, server: Server) -> ConnectionInfo:
        newcomer = not self._lease.is_held
        try:
            self._lease.take()
            self._connection = ConnectionInfo(server.ensure_running(), "postgres")
        except BaseException:
            if newcomer:
                self._lease.drop()
            raise
        return self._connection

    def ensure_database(self, name: str) -> None:
        """Make the database ``name`` unless there is one.

        Raises:
            EmbeddedPostgresError: the server is not in use here, or refuses.
        """
        if self._connection is None:
            raise EmbeddedPostgresError("The embedded PostgreSQL is not started: call start() first.")
        with self._explained(), self._lease.turn():
            done = this_account().run(_psql(self._connection, name), text=CREATE_DATABASE.encode())
        if done.returncode != 0:
            reason = done.stdout.decode(errors="replace").strip().splitlines()
            raise EmbeddedPostgresError(f"The database {name} cannot be made: {' '.join(reason)}")

    def stop_using(self) -> None:
        """Leave the server. The last user stops it; when this returns then, no process of it is left."""
        self._connection = None
        if self._lease.is_held:
            with self._explained(), self._lease.turn():
                self._lease.give_back()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_using()

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self._layout.root
            raise EmbeddedPostgresError(f"The embedded PostgreSQL cannot use {where}: {error.strerror}.") from error


def _psql(connection: ConnectionInfo, name: str) -> list[str]:
    return [
        find_installation().program("psql"),
        *("--no-psqlrc", "--quiet", "--tuples-only", "--set=ON_ERROR_STOP=1", f"--set=name={name}"),
        *(f"--host={connection.socket_dir}", f"--port={SOCKET_PORT}", f"--username={connection.user}"),
        "--dbname=postgres",
    ]
