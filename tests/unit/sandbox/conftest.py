"""A small sandbox spoken to in process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx2
import pytest

from app.sandbox.zoho import SandboxConfig, ZohoSandbox, create_app

CONFIG = SandboxConfig(products=450, customers=60)
Get = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
async def http() -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of a new sandbox; ``http.sandbox`` would be hidden state, so the state has its own fixture."""
    transport = httpx2.ASGITransport(create_app(CONFIG))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox.test") as client:
        yield client


@pytest.fixture
def sandbox() -> ZohoSandbox:
    """The state alone, without HTTP."""
    return ZohoSandbox(CONFIG)


@pytest.fixture
def credentials() -> dict[str, str]:
    """The form of a good refresh."""
    return {
        "grant_type": "refresh_token",
        "client_id": CONFIG.client_id,
        "client_secret": CONFIG.client_secret,
        "refresh_token": CONFIG.refresh_token,
    }


@pytest.fixture
async def get(http: httpx2.AsyncClient, credentials: dict[str, str]) -> Get:
    """An authorised GET of the organisation; keywords are query parameters."""
    token = (await http.post("/oauth/v2/token", data=credentials)).json()["access_token"]

    async def call(path: str, **query: Any) -> httpx2.Response:
        params = {"organization_id": CONFIG.organization_id, **query}
        return await http.get(path, params=params, headers={"Authorization": f"Zoho-oauthtoken {token}"})

    return call
