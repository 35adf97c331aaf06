"""Sessions of browsers: begun with a token, known by the hash of their cookie, ended by rest, age or their token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.config import AuthSettings
from app.core.database import join_or_begin
from app.core.epochs import ACCESS, raise_epoch
from app.core.ids import new_id
from app.core.models import BrowserSession
from app.core.security.principals import Principal
from app.core.security.recording import AccessChange, RecordAccess
from app.core.security.secrets import digest, new_session_secret

__all__ = ["BegunSession", "Sessions"]

_SWEPT: Final = 100


@dataclass(frozen=True, slots=True)
class BegunSession:
    """A new session; ``secret`` is what its cookie holds."""

    id: UUID
    secret: str
    expires_at: datetime


class Sessions:
    """All browser sessions, on the caller's session: in its transaction, or in one of its own."""

    def __init__(self, db: AsyncSession, settings: AuthSettings, record: RecordAccess) -> None:
        self.db = db
        self._longest = timedelta(hours=settings.session_hours)
        self._record = record

    async def begin(self, token: str, *, principal: Principal, address: str, until: float) -> BegunSession:
        """Begin a session for whoever has proved by ``token`` to be ``principal``; ``until`` is when
        the token ends, in Unix time.
        """
        secret = new_session_secret()
        async with join_or_begin(self.db):
            await self._sweep()
            now = (await self.db.execute(select(func.now()))).scalar_one()
            row = BrowserSession(
                id=new_id(),
                session_hash=digest(secret),
                token_hash=digest(token),
                address=address,
                created_at=now,
                last_used_at=now,
                expires_at=now + min(self._longest, _left(until, now)),
            )
            self.db.add(row)
            await self.db.flush()
            after = {"token": principal.key, "role": principal.role.value, "expires_at": row.expires_at}
            await self._record(self.db, _changed(row.id, None, after, principal.name))
        return BegunSession(row.id, secret, row.expires_at)

    async def end(self, secret: str, *, actor: str) -> bool:
        """End a session, in every process, as of the commit; whether there was one."""
        query = delete(BrowserSession).where(BrowserSession.session_hash == digest(secret))
        async with join_or_begin(self.db):
            ended = (await self.db.execute(query.returning(BrowserSession.id))).scalar_one_or_none()
            if ended is None:
                return False
            await self._record(self.db, _changed(ended, {"signed_in": True}, None, actor))
            raise_epoch(self.db, ACCESS)
        return True

    async def _sweep(self) -> None:
        """Remove what is too old; never wait for somebody who does the same."""
        over = select(BrowserSession.id).where(BrowserSession.expires_at < func.now())
        some = over.order_by(BrowserSession.expires_at).limit(_SWEPT).with_for_update(skip_locked=True)
        await self.db.execute(delete(BrowserSession).where(BrowserSession.id.in_(some)))


def _left(until: float, now: datetime) -> timedelta:
    return timedelta.max if until == float("inf") else timedelta(seconds=until - now.timestamp())


def _changed(
    session_id: UUID, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, actor: str
) -> AccessChange:
    return AccessChange(what="browser_session", which=str(session_id), before=before, after=after, actor=actor)
