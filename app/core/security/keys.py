"""The identity provider's public keys: fetched from where its settings say, never from where a token says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import httpx2
from jwt import PyJWK, PyJWKClient
from jwt.exceptions import PyJWTError
from pydantic import BaseModel, ValidationError

from app.core.errors import TdsError
from app.core.telemetry import get_logger

__all__ = ["KeyRing", "KeysUnreachableError", "discover"]

_log = get_logger(__name__)

BETWEEN_FETCHES_SECONDS: Final = 60.0
_OLD_AFTER_SECONDS: Final = 3_600.0
_TIMEOUT_SECONDS: Final = 5
_DEADLINE_SECONDS: Final = 12.0
_LARGEST: Final = 1_048_576


class KeysUnreachableError(TdsError):
    """The identity provider's keys cannot be fetched: nobody can be let in by its tokens until it answers."""

    status = 503
    headers: Mapping[str, str] = {"Retry-After": "60"}


class KeyRing:
    """Keys by their ``kid``. A kid that is not known makes it look again, once a minute at most; keys that were not
    confirmed for an hour are fetched anew, so that one that was withdrawn goes. An answer that cannot be used changes
    nothing.
    """

    def __init__(
        self,
        url: Callable[[], Awaitable[str]],
        *,
        algorithms: Collection[str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._algorithms = frozenset(algorithms)
        self._now = now
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str) -> PyJWK | None:
        """The key of that id; None if the provider has none.

        Raises:
            KeysUnreachableError: no keys were ever had.
        """
        if self._is_due(kid):
            async with self._fetching:
                if self._is_due(kid):  # who waited here has the answer of who fetched
                    await self._fetch()
        if not self._keys:
            raise KeysUnreachableError
        return self._keys.get(kid)

    def _is_due(self, kid: str) -> bool:
        now = self._now()
        wanted = kid not in self._keys or now - self._fetched_at >= _OLD_AFTER_SECONDS
        return wanted and now - self._tried_at >= BETWEEN_FETCHES_SECONDS

    async def _fetch(self) -> None:
        self._tried_at = self._now()
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                client = PyJWKClient(await self._url(), cache_jwk_set=False, timeout=_TIMEOUT_SECONDS)
                found = await asyncio.to_thread(client.get_signing_keys)  # it blocks
        except (PyJWTError, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, TimeoutError) as error:
            _log.warning("identity_keys_not_fetched", error=str(error) or type(error).__name__)
            return
        usable = {str(one.key_id): one for one in found if one.algorithm_name in self._algorithms}
        if not usable:
            _log.warning("identity_keys_not_fetched", error="none of the provider's keys is of a kind that is allowed")
            return
        self._keys, self._fetched_at = usable, self._now()


class _Discovery(BaseModel):
    issuer: str
    jwks_uri: str


async def discover(issuer: str) -> str:
    """Where an issuer says its keys are (OpenID Connect Discovery 1.0).

    Raises:
        httpx2.HTTPError, ValueError: it does not answer, or not for this issuer.
    """
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    async with (
        httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as http,
        http.stream("GET", address) as answer,
    ):
        answer.raise_for_status()
        body = await _bounded(answer)
    try:
        told = _Discovery.model_validate_json(body)
    except ValidationError as error:
        raise ValueError(f"{address} is no discovery document") from error
    if told.issuer != issuer:
        raise ValueError(f"{address} speaks for another issuer than {issuer}")
    return told.jwks_uri


async def _bounded(answer: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > _LARGEST:
            raise ValueError("the discovery document is larger than a megabyte")
    return bytes(body)
