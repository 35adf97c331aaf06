"""Access tokens: one refresh at a time, kept until shortly before their end.

Zoho makes at most ten access tokens in ten minutes of one refresh token and then refuses for the rest of
the window, so no failure may be answered by trying again at once. The token endpoint answers errors with
status 200: the body decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol

from app.core.clock import Clock
from app.core.config import ZohoSettings
from app.tds.core.errors import SourceAuthError, SourceError, SourceThrottledError, SourceUnavailableError
from app.tds.sources.zoho.hosts import api_base, base
from app.tds.sources.zoho.schemas import TokenAnswer, decode
from app.tds.sources.zoho.transport import Answer, Transport

__all__ = ["MemoryTokenStore", "Token", "TokenStore", "ZohoAuth"]

_EARLY: Final = timedelta(minutes=5)
_THROTTLED: Final = timedelta(minutes=10)
_STUMBLED: Final = timedelta(minutes=1)
_RENEWAL: Final = timedelta(minutes=1)
_LIFE_SECONDS: Final = 3600
_TOO_MANY: Final = 429
_DENIED: Final = ("access denied", "access_denied", "too many requests")
_PERMANENT: Final = {
    "invalid_code": "TDS_ZOHO_REFRESH_TOKEN is wrong or was revoked",
    "invalid_grant": "TDS_ZOHO_REFRESH_TOKEN is wrong or was revoked",
    "invalid_client": "TDS_ZOHO_CLIENT_ID is wrong, or is not of the data centre of TDS_ZOHO_ACCOUNTS_URL",
    "invalid_client_secret": "TDS_ZOHO_CLIENT_SECRET is wrong",
    "invalid_redirect_uri": "TDS_ZOHO_CLIENT_ID is of a client with another redirect address",
    "invalid_scope": "TDS_ZOHO_REFRESH_TOKEN was made without the scopes that are needed",
    "unauthorized_client": "TDS_ZOHO_CLIENT_ID is of a client that may not do this",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token, the moment it ends, and the base address of the API it is for."""

    value: str
    expires_at: datetime
    api_url: str

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at!r}, api_url={self.api_url!r})"


class TokenStore(Protocol):
    """Where the token is kept; one shared by processes makes their refreshes one as well."""

    async def load(self) -> Token | None:
        """The token that was saved last."""
        ...

    async def save(self, token: Token) -> None:
        """Keep a token in place of the last."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Held by whoever refreshes."""
        ...


class MemoryTokenStore:
    """A token of this process."""

    def __init__(self) -> None:
        self._token: Token | None = None
        self._lock = asyncio.Lock()

    async def load(self) -> Token | None:
        """The token that was saved last."""
        return self._token

    async def save(self, token: Token) -> None:
        """Keep a token in place of the last."""
        self._token = token

    @asynccontextmanager
    async def exclusive(self) -> AsyncGenerator[None]:
        """Held by one task of this process at a time."""
        async with self._lock:
            yield


class ZohoAuth:
    """Gives access tokens of one connection."""

    def __init__(self, settings: ZohoSettings, transport: Transport, *, clock: Clock, store: TokenStore) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._store = store
        self._renewed_at: datetime | None = None
        self._pause: tuple[datetime, SourceError] | None = None

    async def token(self) -> Token:
        """A token that is good for some minutes, or at least still good where no new one can be had.

        Raises:
            SourceAuthError: the credentials are refused; the message names the setting.
            SourceThrottledError: too many tokens were asked for, and the last has ended.
            SourceUnavailableError: the token endpoint does not answer, and the last has ended.
        """
        if (token := await self._store.load()) and self._lasts(token, _EARLY):
            return token
        async with self._store.exclusive():
            token = await self._store.load()
            if token and self._lasts(token, _EARLY):
                return token
            try:
                return await self._refresh()
            except (SourceThrottledError, SourceUnavailableError):
                if token and self._lasts(token, timedelta(0)):
                    return token
                raise

    async def renew(self, refused: Token) -> Token:
        """A token in place of one that the API refused.

        A refusal soon after a renewal is not the token's fault (a scope is missing), and renewing for each would
        use up the ten that Zoho allows.

        Raises:
            SourceAuthError: the last renewal did not help.
            SourceError: as from `token`.
        """
        async with self._store.exclusive():
            token = await self._store.load()
            if token and token.value != refused.value:
                return token
            if self._renewed_at and self._clock() - self._renewed_at < _RENEWAL:
                raise SourceAuthError("Zoho refuses a new access token: look at the scopes of TDS_ZOHO_REFRESH_TOKEN.")
            token = await self._refresh()
            self._renewed_at = self._clock()
            return token

    def _lasts(self, token: Token, margin: timedelta) -> bool:
        return token.expires_at - margin > self._clock()

    async def _refresh(self) -> Token:
        self._raise_if_paused()
        answer = await self._transport.send(
            "POST", f"{base(self._settings.accounts_url)}/oauth/v2/token", form=self._credentials()
        )
        told = decode(answer.body, TokenAnswer)
        if told is None or not told.access_token or told.error:
            self._refuse(answer, told)
        life = timedelta(seconds=told.expires_in or told.expires_in_sec or _LIFE_SECONDS)
        token = Token(
            value=told.access_token,
            expires_at=self._clock() + life,
            api_url=api_base(self._settings.api_url, told.api_domain),
        )
        self._pause = None
        await self._store.save(token)
        return token

    def _credentials(self) -> dict[str, str]:
        secret, refresh = self._settings.client_secret, self._settings.refresh_token
        return {
            "grant_type": "refresh_token",
            "client_id": self._settings.client_id or "",
            "client_secret": secret.get_secret_value() if secret else "",
            "refresh_token": refresh.get_secret_value() if refresh else "",
        }

    def _refuse(self, answer: Answer, told: TokenAnswer | None) -> NoReturn:
        """Raise what an answer without a token means, and remember it: asking again at once makes it worse."""
        error = told.error if told and told.error else ""
        if error in _PERMANENT:
            self._stop(_STUMBLED, SourceAuthError(f"Zoho's token endpoint says {error}: {_PERMANENT[error]}."))
        if answer.status == _TOO_MANY or (told and _denies(told)):
            seconds = _THROTTLED.total_seconds()
            self._stop(
                _THROTTLED,
                SourceThrottledError("Zoho makes no more access tokens for some minutes.", retry_after=seconds),
            )
        self._stop(
            _STUMBLED,
            SourceUnavailableError(f"Zoho's token endpoint answered with status {answer.status} and no token."),
        )

    def _stop(self, how_long: timedelta, error: SourceError) -> NoReturn:
        self._pause = (self._clock() + how_long, error)
        raise error

    def _raise_if_paused(self) -> None:
        if self._pause is None or self._pause[0] <= self._clock():
            return
        until, error = self._pause
        if isinstance(error, SourceThrottledError):
            raise SourceThrottledError(error.message, retry_after=(until - self._clock()).total_seconds())
        raise type(error)(error.message)


def _denies(told: TokenAnswer) -> bool:
    """Whether an answer means "too many"; its text may be in any language, its status is then "failure"."""
    said = f"{told.error} {told.error_description}".lower()
    return told.status == "failure" or any(word in said for word in _DENIED)
