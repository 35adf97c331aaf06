"""What the access routes take and give. No token's text is in any of them but in the one that makes it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.clock import utc_now
from app.core.models import ApiToken
from app.core.security.names import LONGEST_NAME
from app.core.security.principals import Role
from app.core.security.tokens import MadeToken

__all__ = ["MadeTokenView", "SessionView", "SignInBody", "TokenBody", "TokenPage", "TokenView"]

_EXAMPLE = "tds_x7Kq2mZp_k3vC9yR1sW8uQ5tB2nH6jL4gF7dX0aZeYiOpMbVcNqT"
_Lifetime = Annotated[
    str, Field(pattern=r"^([0-9]{1,6}[mhdw]|never)$", description="90d, 12h, 30m, 4w, or never.", examples=["90d"])
]
TokenState = Literal["active", "expired", "revoked"]


class SignInBody(BaseModel):
    """What a browser signs in with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"token": _EXAMPLE}]})
    token: Annotated[str, Field(min_length=1, max_length=1_000, json_schema_extra={"format": "password"})]


class SessionView(BaseModel):
    """Who you are here. ``csrf_token`` is for sessions of browsers only, and goes into ``X-CSRF-Token``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Sara, phone",
                    "role": "operator",
                    "kind": "session",
                    "csrf_token": "5f0c...",
                    "expires_at": "2025-11-12T10:00:00Z",
                }
            ]
        }
    )
    name: str
    role: Role
    kind: Literal["token", "session", "jwt"]
    csrf_token: str | None = None
    expires_at: Annotated[
        datetime | None, Field(description="When the session ends at the latest; told to whoever signs in.")
    ] = None


class TokenBody(BaseModel):
    """A token to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "Sara, phone", "role": "operator", "expires_in": "90d"}]},
    )
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, description="Stands in the audit trail.")]
    role: Role = Role.VIEWER
    expires_in: Annotated[
        str, Field(pattern=r"^([0-9]{1,6}[mhdw]|never)$", description="90d, 12h, 30m, 4w, or never.")
    ] = "90d"


class TokenView(BaseModel):
    """A token, as far as anybody can still see it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019a5e2c-7b1d-7c3e-9f10-2a4b6c8d0e1f",
                    "prefix": "tds_x7Kq2mZp",
                    "name": "Sara, phone",
                    "role": "operator",
                    "state": "active",
                    "created_by": "admin",
                    "created_at": "2025-11-05T10:00:00Z",
                    "expires_at": "2026-02-03T10:00:00Z",
                    "last_used_at": None,
                    "revoked_at": None,
                }
            ]
        }
    )
    id: UUID
    prefix: str
    name: str
    role: Role
    state: TokenState
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="To the minute.")]
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: ApiToken) -> Self:
        """A row's."""
        return cls(
            id=row.id,
            prefix=row.prefix,
            name=row.name,
            role=Role(row.role),
            state=state_of(row),
            created_by=row.created_by,
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
        )


class MadeTokenView(BaseModel):
    """A token just made: the one time that its text is told."""

    token: Annotated[str, Field(description="Keep it: it is told this once.", examples=[_EXAMPLE])]
    made: TokenView

    @classmethod
    def of(cls, made: MadeToken) -> Self:
        """A new token's."""
        return cls(token=made.secret.text, made=TokenView.of(made.row))


class TokenPage(BaseModel):
    """Tokens, newest first. ``next_cursor`` asks for the next page, if there is one."""

    items: list[TokenView]
    next_cursor: UUID | None


def state_of(row: ApiToken) -> TokenState:
    """Whether a token still opens anything."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= utc_now() else "active"
