"""A PostgreSQL of TDS's own, for who has not set ``TDS_DATABASE_URL``.

It is the real server, from the wheel of the extra ``tsh-data-sync[embedded]``. It listens on a Unix socket
in a folder of mode 0700 and nowhere else, is shared by all processes that use the same ``TDS_HOME``, is
started by the first of them and stopped with the last, however that one ends. Linux and macOS.

Under root PostgreSQL refuses to run; there it runs as the system account ``tds-postgres``, which is made
when missing (see ``account``).
"""

from __future__ import annotations

from app.core.embedded.connection import ConnectionInfo
from app.core.embedded.errors import (
    DataDirectoryError,
    EmbeddedPostgresError,
    PostgresNotInstalledError,
    PostgresStartError,
    ServerAccountError,
)
from app.core.embedded.postgres import EmbeddedPostgres

__all__ = [
    "ConnectionInfo",
    "DataDirectoryError",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "PostgresNotInstalledError",
    "PostgresStartError",
    "ServerAccountError",
]
