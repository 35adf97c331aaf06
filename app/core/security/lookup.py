"""Credentials looked up in the database: by the hash of what was presented, in one statement."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text

from app.core.config import AuthSettings
from app.core.database import Database
from app.core.security.memory import Verified
from app.core.security.names import clean_name
from app.core.security.principals import Principal, Role
from app.core.security.secrets import digest, same

__all__ = ["Lookup"]

_TOKEN: Final = text("""
    SELECT id, name, prefix, token_hash, role, expires_at FROM api_tokens
    WHERE token_hash = :hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
""")
# The session's token must still be good: revoked, expired or taken out of the settings, it takes its sessions along.
_SESSION: Final = text("""
    SELECT begun.id, begun.session_hash, begun.token_hash, token.name, token.prefix, token.role,
           LEAST(begun.last_used_at + CAST(:idle AS interval), begun.expires_at, token.expires_at) AS ends_at
    FROM browser_sessions AS begun LEFT JOIN api_tokens AS token
      ON token.token_hash = begun.token_hash AND token.revoked_at IS NULL
     AND (token.expires_at IS NULL OR token.expires_at > now())
    WHERE begun.session_hash = :hash AND begun.expires_at > now()
      AND begun.last_used_at > now() - CAST(:idle AS interval)
""")


_STATIC: Final = Principal(name="admin", role=Role.ADMIN, kind="token", key="token TDS_SERVER_ADMIN_TOKEN")
"""Whoever holds the token of the settings."""


class Lookup:
    """Finds whom a token or a session's secret stands for."""

    def __init__(self, database: Database, settings: AuthSettings, static_hash: bytes | None) -> None:
        self._database = database
        self._idle = timedelta(minutes=settings.session_idle_minutes)
        self._static_hash = static_hash

    async def token(self, given: str) -> Verified | None:
        """Whom an API token stands for, if it is good now."""
        wanted = digest(given)
        if self._static_hash is not None and same(wanted, self._static_hash):
            return Verified(_STATIC, float("inf"))
        async with self._database.session() as session:
            row = (await session.execute(_TOKEN, {"hash": wanted})).one_or_none()
        if row is None or not same(row.token_hash, wanted):
            return None
        principal = Principal(name=clean_name(row.name), role=Role(row.role), kind="token", key=f"token {row.prefix}")
        return Verified(principal, _until(row.expires_at), ("token", row.id))

    async def session(self, secret: str) -> Verified | None:
        """Whom a browser session stands for, if it and its token are good now."""
        wanted = digest(secret)
        async with self._database.session() as session:
            row = (await session.execute(_SESSION, {"hash": wanted, "idle": self._idle})).one_or_none()
        if row is None or not same(row.session_hash, wanted):
            return None
        name, role, of = row.name, row.role, row.prefix
        if of is None:
            if self._static_hash is None or not same(row.token_hash, self._static_hash):
                return None
            name, role, of = _STATIC.name, _STATIC.role, _STATIC.key.removeprefix("token ")
        key = f"session {str(row.id)[-8:]} of {of}"
        principal = Principal(name=clean_name(name), role=Role(role), kind="session", key=key)
        return Verified(principal, _until(row.ends_at), ("session", row.id))


def _until(moment: datetime | None) -> float:
    return float("inf") if moment is None else moment.timestamp()
