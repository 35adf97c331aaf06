"""A distributed lock as a lease row with a fencing token: for work that one process at a time may do.

No session advisory locks: they do not survive a pooler, and a frozen holder would keep them for ever. A lease ends
by itself; its token grows with every taking, and a holder that comes back late is refused by ``fence``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Database
from app.core.errors import ConflictError

__all__ = ["Lease", "LockLostError", "acquire", "fence", "leading", "release", "renew"]

_ACQUIRE: Final = text("""
    INSERT INTO locks AS lock (name, holder, token, expires_at)
    VALUES (CAST(:name AS text), CAST(:holder AS text), 1, clock_timestamp() + CAST(:ttl AS interval))
    ON CONFLICT (name) DO UPDATE
        SET holder = excluded.holder, token = lock.token + 1, expires_at = excluded.expires_at
        WHERE lock.expires_at IS NULL OR lock.expires_at <= clock_timestamp()
    RETURNING token
""")
_RENEW: Final = text("""
    UPDATE locks SET expires_at = clock_timestamp() + CAST(:ttl AS interval)
    WHERE name = CAST(:name AS text) AND token = CAST(:token AS bigint) AND expires_at > clock_timestamp()
    RETURNING token
""")
_FENCE: Final = text("""
    SELECT token FROM locks
    WHERE name = CAST(:name AS text) AND token = CAST(:token AS bigint) AND expires_at > clock_timestamp()
    FOR SHARE
""")
_RELEASE: Final = text("""
    UPDATE locks SET holder = NULL, expires_at = NULL
    WHERE name = CAST(:name AS text) AND token = CAST(:token AS bigint)
""")


class LockLostError(ConflictError):
    """The lock is not held any more: its lease ended, and somebody else may have it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lock that was taken. ``token`` is greater than that of everyone who held it before."""

    name: str
    holder: str
    token: int


async def acquire(session: AsyncSession, name: str, *, holder: str, seconds: float) -> Lease | None:
    """Take the lock if it is free or its lease has ended; None if somebody has it (the holder itself included)."""
    parameters = {"name": name, "holder": holder, "ttl": timedelta(seconds=seconds)}
    token = (await session.execute(_ACQUIRE, parameters)).scalar_one_or_none()
    return None if token is None else Lease(name, holder, token)


async def renew(session: AsyncSession, lease: Lease, *, seconds: float) -> None:
    """Keep the lock for ``seconds`` from now.

    Raises:
        LockLostError: its lease has ended.
    """
    parameters = {"name": lease.name, "token": lease.token, "ttl": timedelta(seconds=seconds)}
    if (await session.execute(_RENEW, parameters)).one_or_none() is None:
        raise LockLostError


async def fence(session: AsyncSession, lease: Lease) -> None:
    """Make the rest of this transaction depend on the lock: nobody else can take it before the transaction ends.

    Raises:
        LockLostError: it is lost; write nothing.
    """
    if (await session.execute(_FENCE, {"name": lease.name, "token": lease.token})).one_or_none() is None:
        raise LockLostError


async def release(session: AsyncSession, lease: Lease) -> None:
    """Give the lock back; nothing happens if it is lost."""
    await session.execute(_RELEASE, {"name": lease.name, "token": lease.token})


@asynccontextmanager
async def leading(database: Database, name: str, *, holder: str, seconds: float) -> AsyncGenerator[Lease | None]:
    """Hold the lock around a piece of work, or yield None if another process has it."""
    async with database.transaction() as session:
        lease = await acquire(session, name, holder=holder, seconds=seconds)
    try:
        yield lease
    finally:
        if lease is not None:
            async with database.transaction() as session:
                await release(session, lease)
