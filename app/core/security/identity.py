"""Tokens of the company's identity provider: JWTs, verified with its own keys and by our own rules.

Which algorithms are allowed is ours to say, and each key has one; ``none`` and shared secrets are not among them. What
a token's header says of keys (``jku``, ``x5u``, ``jwk``, ``x5c``) is not looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import jwt
from jwt.exceptions import PyJWTError

from app.core.config import AuthSettings
from app.core.security.errors import ForbiddenError, UnauthorizedError
from app.core.security.keys import KeyRing, discover
from app.core.security.names import clean_name
from app.core.security.principals import Principal, Role
from app.core.telemetry import get_logger

__all__ = ["IdentityProvider", "NoRoleError", "VerifiedIdentity", "looks_like_jwt"]

_log = get_logger(__name__)

_REQUIRED: Final = ("iss", "aud", "exp", "iat", "sub")
_PARTS: Final = 3
_LONGEST_KID: Final = 500
_FAR: Final = 2**53


class NoRoleError(ForbiddenError):
    """The identity provider knows you, but gives you no role here: its administrator can (TDS_AUTH_ROLE_CLAIM)."""


@dataclass(frozen=True, slots=True)
class VerifiedIdentity:
    """Whom a token names, and until when (seconds of Unix time, leeway included)."""

    principal: Principal
    until: float


def looks_like_jwt(text: str) -> bool:
    """Whether it is worth a closer look."""
    return text.isascii() and len(text.split(".")) == _PARTS


class IdentityProvider:
    """Verifies what one issuer has signed for one audience. ``issuer`` and ``audience`` must be set."""

    def __init__(self, settings: AuthSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._keys = KeyRing(self._keys_url, algorithms=settings.algorithms, now=now)

    async def _keys_url(self) -> str:
        if self._settings.jwks_url is not None:
            return self._settings.jwks_url
        return await discover(self._settings.issuer or "")

    async def verify(self, token: str) -> VerifiedIdentity:
        """Who holds this token.

        Raises:
            UnauthorizedError: it is not the issuer's, not for us, not valid now, or says too little.
            NoRoleError: it is good, and names no role of ours.
            KeysUnreachableError: there are no keys to verify it with.
        """
        try:
            claims = await self._claims(token)
        except (PyJWTError, ValueError) as error:
            _log.info("identity_token_refused", reason=clean_name(str(error)) or type(error).__name__)
            raise UnauthorizedError("The identity provider's token is not valid here.") from error
        ends = min(int(claims["exp"]), _FAR) + self._settings.leeway_seconds
        return VerifiedIdentity(self._principal(claims), ends)

    async def _claims(self, token: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(token)
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in self._settings.algorithms:  # before anything is fetched for it
            raise ValueError(f"the algorithm {algorithm!r} is not allowed")
        if not isinstance(kid, str) or not 0 < len(kid) <= _LONGEST_KID:
            raise ValueError("the token does not name its key")
        key = await self._keys.find(kid)
        if key is None:
            raise ValueError("the provider has no such key")
        return jwt.decode(
            token,
            key,
            algorithms=list(self._settings.algorithms),
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=self._settings.leeway_seconds,
            options={"require": list(_REQUIRED), "enforce_minimum_key_length": True},
        )

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        subject = clean_name(str(claims["sub"]))
        name = clean_name(str(_claim(claims, self._settings.name_claim) or "")) or subject
        if not subject:
            raise UnauthorizedError("The identity provider's token names nobody.")
        return Principal(name=name, role=self._role(claims), kind="jwt", key=f"identity {subject}")

    def _role(self, claims: Mapping[str, Any]) -> Role:
        told = _claim(claims, self._settings.role_claim)
        names = cast("Sequence[object]", told) if isinstance(told, list) else [told]
        roles = self._settings.roles
        mine = [Role(roles[name]) for name in names if isinstance(name, str) and name in roles]
        if not mine:
            raise NoRoleError
        return max(mine, key=list(Role).index)


def _claim(claims: Mapping[str, Any], path: str) -> object:
    """The claim of that name, or what a path of names with dots leads to."""
    if path in claims:
        return claims[path]
    first, _, rest = path.partition(".")
    inner = claims.get(first)
    return _claim(cast("Mapping[str, Any]", inner), rest) if rest and isinstance(inner, Mapping) else None
