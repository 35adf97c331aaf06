"""One bounded HTTP exchange: how long it may take, how large its answer may be, what a failure is called."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from app.tds.core.errors import SourceUnavailableError

__all__ = ["Answer", "Transport"]

_MAX_BYTES = 64 * 1024 * 1024
_DEADLINE_SECONDS = 90.0
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer; header names are lower-cased."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """An HTTP client that is made when it is first needed; one handed in stays its owner's to close."""

    def __init__(self, http: httpx2.AsyncClient | None = None, *, max_bytes: int = _MAX_BYTES) -> None:
        self._given = http
        self._own: httpx2.AsyncClient | None = None
        self._max_bytes = max_bytes

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and read its whole answer, whatever its status. Redirects are not followed: the next
        host would be handed the token.

        Raises:
            SourceUnavailableError: no connection, too slow, cut short, or larger than allowed.
        """
        try:
            async with (
                asyncio.timeout(_DEADLINE_SECONDS),
                self._client().stream(
                    method, url, headers=headers, data=form, timeout=_TIMEOUT, follow_redirects=False
                ) as response,
            ):
                return Answer(
                    status=response.status_code, headers=dict(response.headers), body=await self._body(response)
                )
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            host = httpx2.URL(url).host
            raise SourceUnavailableError(f"{host} did not answer: {type(error).__name__}.") from error

    async def aclose(self) -> None:
        """Close the connections of the client that was made here."""
        client, self._own = self._own, None
        if client is not None:
            await client.aclose()

    def _client(self) -> httpx2.AsyncClient:
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = httpx2.AsyncClient()
        return self._own

    async def _body(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                raise SourceUnavailableError(f"{response.url.host} sent more than {self._max_bytes} bytes.")
        return bytes(body)
