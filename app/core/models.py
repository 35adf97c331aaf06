"""Tables of the kernel: leases, tokens, and the shared state of outside calls."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Double, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ids import new_id
from app.core.orm import Base

__all__ = ["ApiToken", "BrowserSession", "CircuitBreaker", "Epoch", "Lock", "LoginAttempts", "RateBudget"]


class Lock(Base):
    """A distributed lock as a lease row; ``token`` grows with every taking and fences late writers off."""

    __tablename__ = "locks"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str | None]
    token: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    expires_at: Mapped[datetime | None]


class ApiToken(Base):
    """An API token: its hash, never itself; ``prefix`` is what is shown to tell it from others."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="role_known"),
        Index("uq_api_tokens_hash", "token_hash", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    prefix: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    role: Mapped[str]
    created_by: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class BrowserSession(Base):
    """A browser that has signed in: the hash of its cookie, and of the token it signed in with, with which it ends."""

    __tablename__ = "browser_sessions"
    __table_args__ = (
        Index("uq_browser_sessions_hash", "session_hash", unique=True),
        Index("ix_browser_sessions_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    session_hash: Mapped[bytes] = mapped_column(LargeBinary)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    address: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_used_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime]


class LoginAttempts(Base):
    """How often somebody has tried to sign in, from one address or with one token's prefix, since a moment."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("ix_login_attempts_since", "since"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    attempts: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime]


class Epoch(Base):
    """How often a family of cached answers was made stale; see `app.core.epochs`."""

    __tablename__ = "epochs"

    name: Mapped[str] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)


class CircuitBreaker(Base):
    """What all processes know of one outside API's health."""

    __tablename__ = "circuit_breakers"
    __table_args__ = (CheckConstraint("state IN ('closed', 'open', 'half_open')", name="state_known"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="closed")
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    opened_at: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class RateBudget(Base):
    """How much of a quota of one outside API is left in the current window."""

    __tablename__ = "rate_budgets"

    name: Mapped[str] = mapped_column(primary_key=True)
    quota: Mapped[int] = mapped_column(BigInteger)
    used: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    window_started_at: Mapped[datetime]
    window_ends_at: Mapped[datetime]
    blocked_until: Mapped[datetime | None]
    refill_per_second: Mapped[float] = mapped_column(Double, server_default=text("0"))
