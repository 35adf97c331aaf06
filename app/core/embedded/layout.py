"""Where the files of the embedded PostgreSQL are, and how long a socket's path may be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from app.core.embedded.keeper import SOCKET_NAME

__all__ = ["Layout"]

SOCKET_PATH_LIMIT = 107
"""Bytes in ``sun_path`` of ``struct sockaddr_un`` on Linux (unix(7)), less the closing zero; on macOS 103."""
LIST_CHARACTERS = frozenset(',:"\\@')
"""What PostgreSQL, libpq or a driver takes for a list, a port or an abstract name in a socket's folder."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder ``<home>/postgres`` and what is in it."""

    root: Path

    @classmethod
    def below(cls, home: Path) -> Layout:
        """The layout below ``home``; links in the path are kept, and ``..`` is taken out."""
        return cls(Path(os.path.abspath(home)) / "postgres")  # noqa: PTH100 - resolve() would follow links

    @property
    def data(self) -> Path:
        """The data directory (PGDATA)."""
        return self.root / "data"

    @property
    def run(self) -> Path:
        """Where the socket is, if its path can be used."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """What PostgreSQL and the keeper say."""
        return self.root / "log"

    @property
    def users_lock(self) -> Path:
        """Held together by every process that uses the server, alone by the one that stops it."""
        return self.root / "users.lock"

    @property
    def start_lock(self) -> Path:
        """Held by the process that starts the server, or leaves it."""
        return self.root / "start.lock"

    @property
    def keeper_lock(self) -> Path:
        """Held by the keeper."""
        return self.root / "keeper.lock"

    @property
    def server_lock(self) -> Path:
        """Held by every process of the server itself."""
        return self.root / "server.lock"

    @property
    def run_is_usable(self) -> bool:
        """Whether a socket in ``run`` has a path that the kernel and every client can take."""
        path = os.fsencode(self.run / SOCKET_NAME)
        limit = SOCKET_PATH_LIMIT if os.uname().sysname == "Linux" else SOCKET_PATH_LIMIT - 4
        return len(path) <= limit and LIST_CHARACTERS.isdisjoint(str(self.run)) and str(self.run).isprintable()
