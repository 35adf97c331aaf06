"""How to reach the embedded PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from app.core.embedded.keeper import SOCKET_PORT

__all__ = ["ConnectionInfo"]


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """A running server: the folder of its socket, and the role that owns everything in it."""

    socket_dir: Path
    user: str

    def url(self, database: str) -> str:
        """The address of one database, for SQLAlchemy with asyncpg.

        It names the port, which is part of a socket's name: else ``PGPORT`` would decide.
        """
        where = f"host={quote(str(self.socket_dir))}&port={SOCKET_PORT}"
        return f"postgresql+asyncpg://{self.user}@/{quote(database, safe='')}?{where}"
