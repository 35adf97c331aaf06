"""The whole application on a database of the test's own, with room for many requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from app.bootstrap import Runtime
from app.core.config import ServerSettings, Settings, ZohoSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.main import create_app
from app.tds.sources.zoho import ZohoSource
from app.tds.targets.erp import erp_targets

STATIC = "an example of a static admin token"


def make_runtime(database: Database, **groups: object) -> Runtime:
    """A runtime with the static token, and whatever settings a test wants otherwise."""
    server = ServerSettings(admin_token=SecretStr(STATIC), rate_per_minute=100_000, rate_burst=10_000)
    settings = Settings.load(**{"server": server, **groups})
    return Runtime(settings, database, Doorbell(database), {"zoho": ZohoSource(ZohoSettings())}, erp_targets())


@asynccontextmanager
async def process(
    runtime: Runtime, base_url: str = "http://localhost", address: str = "127.0.0.1"
) -> AsyncGenerator[AsyncClient]:
    """A client of a process of its own, which ends with the client."""
    transport = ASGITransport(create_app(runtime), client=(address, 1))
    async with AsyncClient(transport=transport, base_url=base_url) as client:
        yield client
    await runtime.settle()


@pytest.fixture
def runtime(database: Database) -> Runtime:
    """One process."""
    return make_runtime(database)


@pytest.fixture
def app(runtime: Runtime) -> FastAPI:
    """Its application."""
    return create_app(runtime)


@pytest.fixture
async def client(app: FastAPI, runtime: Runtime) -> AsyncGenerator[AsyncClient]:
    """A browser, or a program, on this machine."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        yield client
    await runtime.settle()
