"""The API on a database of the test's own, with the real Zoho source behind it."""

from __future__ import annotations

import hmac
from collections.abc import AsyncGenerator, Callable
from hashlib import sha256

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from pydantic import SecretStr

from app.bootstrap import Runtime
from app.core.config import ServerSettings, Settings, WebhookSettings, ZohoSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.main import create_app
from app.tds.sources.zoho import ZohoSource
from app.tds.targets.erp import erp_targets

SECRET = "examplesecret123"
TOKEN = "example-admin-token"
"""The static token of the settings; whoever holds it is called admin."""

Sign = Callable[..., dict[str, str]]


@pytest.fixture
def runtime(database: Database) -> Runtime:
    """A runtime whose source accepts webhooks signed with SECRET."""
    zoho = ZohoSettings(webhook_secret=SecretStr(SECRET))
    settings = Settings.load(
        zoho=zoho, webhook=WebhookSettings(max_bytes=16_384), server=ServerSettings(admin_token=SecretStr(TOKEN))
    )
    return Runtime(settings, database, Doorbell(database), {"zoho": ZohoSource(zoho)}, erp_targets())


@pytest.fixture
async def client(runtime: Runtime) -> AsyncGenerator[AsyncClient]:
    """An HTTP client of the API; an exception in the application is answered, not raised here."""
    transport = ASGITransport(create_app(runtime), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await runtime.settle()


def signed(body: bytes, query: str = "", *, secret: str = SECRET) -> dict[str, str]:
    """Headers of a genuine delivery; ``query`` is its pairs as they enter the signature."""
    digest = hmac.new(secret.encode(), query.encode() + body, sha256).hexdigest()
    return {"X-Zoho-Webhook-Signature": digest, "Content-Type": "application/json"}


async def deliver(client: AsyncClient, body: bytes) -> Response:
    """Send a genuine delivery."""
    return await client.post("/api/tds/webhooks/zoho", content=body, headers=signed(body))
