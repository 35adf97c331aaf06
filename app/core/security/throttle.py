"""The login throttle: how often one may try to sign in, counted in the database, for all processes together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Database
from app.core.models import LoginAttempts
from app.core.security.errors import TooManyRequestsError

__all__ = ["ADDRESS_LIMIT", "PREFIX_LIMIT", "WINDOW", "LoginThrottle", "address_key"]

WINDOW: Final = timedelta(minutes=5)
ADDRESS_LIMIT: Final = 10
PREFIX_LIMIT: Final = 10
_SWEPT: Final = 100
_COUNT: Final = text("""
    INSERT INTO login_attempts AS known (key, attempts, since)
    SELECT key, 1, now() FROM unnest(CAST(:keys AS text[])) AS tried (key) ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
        attempts = CASE WHEN known.since <= now() - CAST(:window AS interval) THEN 1 ELSE known.attempts + 1 END,
        since = CASE WHEN known.since <= now() - CAST(:window AS interval) THEN now() ELSE known.since END
    RETURNING key, attempts, EXTRACT(EPOCH FROM since + CAST(:window AS interval) - now()) AS seconds_left
""")


def address_key(address: str) -> str:
    """What an address is counted under: itself, and of IPv6 its /64, which one customer has whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return f"address {address[:100]}"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"address {parsed.ipv4_mapped}"
        return f"address {IPv6Address(int(parsed) >> 64 << 64)}/64"
    return f"address {parsed}"


class LoginThrottle:
    """Counts attempts before they are looked at, so that a hundred at once are no way around it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attempt(self, address: str, prefix: str | None) -> None:
        """Count an attempt from ``address`` with a token of this prefix, committed.

        Raises:
            TooManyRequestsError: there were too many in the last minutes.
        """
        limits = _limits(address, prefix)
        async with self._database.transaction() as session:
            await _sweep(session)
            parameters = {"keys": list(limits), "window": WINDOW}
            rows = (await session.execute(_COUNT, parameters)).all()
        over = [float(row.seconds_left) for row in rows if row.attempts > limits[row.key]]
        if over:
            raise TooManyRequestsError("Too many attempts to sign in: wait before the next one.", retry_after=max(over))

    async def forgive(self, session: AsyncSession, address: str, prefix: str | None) -> None:
        """Whoever has signed in starts anew."""
        keys: Sequence[str] = list(_limits(address, prefix))
        await session.execute(delete(LoginAttempts).where(LoginAttempts.key.in_(keys)))


def _limits(address: str, prefix: str | None) -> dict[str, int]:
    limits = {address_key(address): ADDRESS_LIMIT}
    if prefix is not None:
        limits[f"prefix {prefix}"] = PREFIX_LIMIT
    return limits


async def _sweep(session: AsyncSession) -> None:
    """Forget what is long over; never wait for somebody who does the same."""
    old = select(LoginAttempts.key).where(LoginAttempts.since < func.now() - 2 * WINDOW)
    some = old.order_by(LoginAttempts.since).limit(_SWEPT).with_for_update(skip_locked=True)
    await session.execute(delete(LoginAttempts).where(LoginAttempts.key.in_(some)))
