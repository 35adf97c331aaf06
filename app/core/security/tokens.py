"""API tokens: made, listed, looked up and revoked. A token's text is known to nobody after it was made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.epochs import ACCESS, raise_epoch
from app.core.errors import ConflictError, InvalidError, NotFoundError
from app.core.ids import new_id
from app.core.models import ApiToken
from app.core.security.names import checked_name
from app.core.security.principals import Role
from app.core.security.recording import AccessChange, RecordAccess
from app.core.security.secrets import NewSecret, new_token

__all__ = ["FIRST_START", "MadeToken", "TokenNotFoundError", "TokenRevokedError", "Tokens", "lifetime"]

FIRST_START: Final = "first start"
"""Who has made the first token."""
_LIFETIME: Final = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = timedelta(days=3_660)
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtext('tds.first_token'))")


class TokenNotFoundError(NotFoundError):
    """There is no such token."""


class TokenRevokedError(ConflictError):
    """This token is revoked already."""


@dataclass(frozen=True, slots=True)
class MadeToken:
    """A new token and its text, which is shown once."""

    row: ApiToken
    secret: NewSecret


def lifetime(given: str) -> timedelta | None:
    """How long a token is good for: ``90d``, ``12h``, ``30m``, ``4w``; None for ``never``.

    Raises:
        InvalidError: that is no span of time, or one of no use.
    """
    if given == "never":
        return None
    found = _LIFETIME.fullmatch(given)
    span = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)
    if not timedelta(0) < span <= _LONGEST:
        raise InvalidError(
            f"{given[:50]!r} is no time to expire in: give 90d, 12h, 30m or 4w (10 years at most), or never"
        )
    return span


class Tokens:
    """All API tokens, on the caller's session: in its transaction, or in one of its own."""

    def __init__(self, db: AsyncSession, record: RecordAccess) -> None:
        self.db = db
        self._record = record

    async def create(self, name: str, role: Role, *, expires_in: timedelta | None, actor: str) -> MadeToken:
        """Make a token; ``expires_in`` None is never.

        Raises:
            InvalidError: the name cannot be used.
        """
        name, secret = checked_name(name), new_token()
        async with join_or_begin(self.db):
            now = (await self.db.execute(select(func.now()))).scalar_one()
            row = ApiToken(
                id=new_id(),
                name=name,
                prefix=secret.prefix,
                token_hash=secret.digest,
                role=role.value,
                created_by=actor,
                created_at=now,
                expires_at=None if expires_in is None else now + expires_in,
            )
            self.db.add(row)
            await self.db.flush()
            await self._record(self.db, _created(row, actor))
        return MadeToken(row, secret)

    async def create_first(self) -> MadeToken | None:
        """The first admin token, if none was ever made: of all processes that ask at once, one gets it."""
        async with join_or_begin(self.db):
            await self.db.execute(_LOCK)
            if (await self.db.execute(select(select(ApiToken.id).exists()))).scalar_one():
                return None
            return await self.create(FIRST_START, Role.ADMIN, expires_in=None, actor=FIRST_START)

    async def find(self, *, before: UUID | None = None, limit: int = 50) -> Sequence[ApiToken]:
        """Tokens, revoked ones too, newest first; ``before`` is the last id of the page before."""
        query = select(ApiToken).order_by(ApiToken.id.desc()).limit(limit)
        if before is not None:
            query = query.where(ApiToken.id < before)
        async with join_or_begin(self.db):
            return (await self.db.scalars(query)).all()

    async def revoke(self, token_id: UUID, *, actor: str) -> ApiToken:
        """End a token, and every session that was begun with it, in every process, as of the commit.

        Raises:
            TokenNotFoundError, TokenRevokedError: there is none, or it has ended already.
        """
        async with join_or_begin(self.db):
            row = await self.db.get(ApiToken, token_id, populate_existing=True, with_for_update=True)
            if row is None:
                raise TokenNotFoundError
            if row.revoked_at is not None:
                raise TokenRevokedError
            row.revoked_at = (await self.db.execute(select(func.now()))).scalar_one()
            await self.db.flush()
            await self._record(self.db, _revoked(row, actor))
            raise_epoch(self.db, ACCESS)
        return row

    async def named(self, wanted: str) -> ApiToken:
        """The token that an id or a prefix (``tds_ab12cd34``, or ``ab12cd34``) stands for.

        Raises:
            TokenNotFoundError: none.
        """
        prefix = wanted if wanted.startswith("tds_") else f"tds_{wanted}"
        condition = ApiToken.prefix == prefix
        with suppress(ValueError):
            condition = or_(condition, ApiToken.id == UUID(wanted))
        async with join_or_begin(self.db):
            found = (await self.db.scalars(select(ApiToken).where(condition).limit(1))).one_or_none()
        if found is None:
            raise TokenNotFoundError(f"there is no token {wanted[:50]!r}; those that there are: tds token list")
        return found


def _created(row: ApiToken, actor: str) -> AccessChange:
    expires: datetime | None = row.expires_at
    after = {"name": row.name, "prefix": row.prefix, "role": row.role, "expires_at": expires}
    return AccessChange(what="api_token", which=str(row.id), before=None, after=after, actor=actor)


def _revoked(row: ApiToken, actor: str) -> AccessChange:
    before = {"name": row.name, "prefix": row.prefix, "role": row.role, "revoked": False}
    return AccessChange(what="api_token", which=str(row.id), before=before, after={"revoked": True}, actor=actor)
