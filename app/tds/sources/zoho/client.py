"""Reading from Zoho's APIs: the right host, organisation and token, few at a time, again where that may help."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import httpx2
import stamina

from app.core.clock import Clock
from app.core.config import ZohoSettings
from app.tds.core.errors import SourceAuthError, SourceUnavailableError
from app.tds.sources.zoho.auth import MemoryTokenStore, Token, TokenStore, ZohoAuth
from app.tds.sources.zoho.failures import TokenRefusedError, failure_of
from app.tds.sources.zoho.schemas import decode
from app.tds.sources.zoho.transport import Transport

__all__ = ["Api", "ZohoClient"]

_ATTEMPTS: Final = 3
_Shape = TypeVar("_Shape")


class Api(StrEnum):
    """Zoho's two APIs on one organisation, by their paths."""

    BOOKS = "books/v3"
    INVENTORY = "inventory/v1"


class ZohoClient:
    """Reads from one organisation."""

    def __init__(
        self,
        settings: ZohoSettings,
        *,
        clock: Clock,
        http: httpx2.AsyncClient | None = None,
        tokens: TokenStore | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._transport = Transport(http)
        self._auth = ZohoAuth(settings, self._transport, clock=clock, store=tokens or MemoryTokenStore())
        self._slots = asyncio.Semaphore(settings.concurrency)

    async def get(
        self, api: Api, path: str, answer: type[_Shape], query: Mapping[str, str | int] | None = None
    ) -> _Shape:
        """Read ``path`` (its parts escaped already), as ``answer``; what may pass is tried three times.

        Raises:
            SourceAuthError: settings are missing, or Zoho refuses them.
            SourceThrottledError: Zoho asks for patience.
            SourceUnavailableError: three times there was no usable answer.
            ZohoNotFoundError: there is no such record.
            SourceError: Zoho refuses the request.
        """
        if self._settings.missing:
            raise SourceAuthError(f"Zoho is not connected: set {', '.join(self._settings.missing)}.")
        attempts = stamina.retry_context(
            on=SourceUnavailableError, attempts=_ATTEMPTS, wait_initial=0.2, wait_max=2.0, wait_jitter=0.3
        )
        async for attempt in attempts:
            with attempt:
                async with self._slots:
                    return await self._get(f"{api}{path}?{self._query(query or {})}", answer)
        raise AssertionError("stamina raises what its last attempt raised")

    async def aclose(self) -> None:
        """Close connections."""
        await self._transport.aclose()

    def _query(self, query: Mapping[str, str | int]) -> str:
        # quote, not quote_plus: the + of a time's offset has to arrive as %2B, and a space not as +.
        pairs = {"organization_id": self._settings.organization_id or "", **query}
        return urlencode(pairs, quote_via=quote)

    async def _get(self, path: str, answer: type[_Shape]) -> _Shape:
        token = await self._auth.token()
        try:
            return await self._ask(path, token, answer)
        except TokenRefusedError:
            token = await self._auth.renew(token)
            return await self._ask(path, token, answer)

    async def _ask(self, path: str, token: Token, answer: type[_Shape]) -> _Shape:
        headers = {"Authorization": f"Zoho-oauthtoken {token.value}", "Accept": "application/json"}
        received = await self._transport.send("GET", f"{token.api_url}/{path}", headers=headers)
        if failure := failure_of(received, now=self._clock()):
            raise failure
        decoded = decode(received.body, answer)
        if decoded is None:
            raise SourceUnavailableError(f"Zoho's answer to {path.partition('?')[0]} has not the shape it should have.")
        return decoded
