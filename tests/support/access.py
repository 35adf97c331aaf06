"""Tokens for tests, made as the program makes them."""

from __future__ import annotations

from datetime import timedelta

from app.core.database import Database
from app.core.security.principals import Role
from app.core.security.tokens import MadeToken, Tokens
from app.tds.core.audit import record_access

__all__ = ["bearer", "make_token", "revoke_token"]


async def make_token(
    database: Database, role: Role, *, name: str | None = None, expires_in: timedelta | None = None
) -> MadeToken:
    """A token of ``role``, called after it if no name is given."""
    async with database.session() as session:
        tokens = Tokens(session, record_access)
        return await tokens.create(name or role.value, role, expires_in=expires_in, actor="test")


async def revoke_token(database: Database, made: MadeToken) -> None:
    """End it."""
    async with database.session() as session:
        await Tokens(session, record_access).revoke(made.row.id, actor="test")


def bearer(token: MadeToken | str) -> dict[str, str]:
    """The header that presents it."""
    return {"Authorization": f"Bearer {token if isinstance(token, str) else token.secret.text}"}
