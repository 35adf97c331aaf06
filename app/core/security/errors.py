"""What a caller is told who does not get in."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from types import MappingProxyType

from app.core.errors import TdsError

__all__ = [
    "CsrfError",
    "ForbiddenError",
    "TooManyRequestsError",
    "UnauthorizedError",
]


class UnauthorizedError(TdsError):
    """A bearer token is needed, and must be right: "Authorization: Bearer tds_..."; or sign in first."""

    status = 401
    headers: Mapping[str, str] = MappingProxyType({"WWW-Authenticate": "Bearer"})


class ForbiddenError(TdsError):
    """Your role does not allow this."""

    status = 403


class CsrfError(ForbiddenError):
    """A session in a browser must send its CSRF token in X-CSRF-Token: GET /api/auth/session tells it."""


class TooManyRequestsError(TdsError):
    """Too many requests: wait a moment. ``retry_after`` is in seconds, and stands in ``Retry-After`` in whole ones."""

    status = 429

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.headers = {"Retry-After": str(max(1, ceil(retry_after)))}
