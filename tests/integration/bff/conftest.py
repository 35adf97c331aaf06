"""The application on a database of the test's own, and its clients: Vic, who may look, and Ann, who may act."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from app.bff.router import PREFIX
from app.bootstrap import Runtime
from app.core.config import ServerSettings, Settings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.security.principals import Role
from app.core.security.tokens import Tokens
from app.main import create_app
from app.tds.core.audit import record_access
from app.tds.targets.erp import erp_targets
from tests.support.pipeline import FakeSource


def midday() -> str:
    """A time zone where it is about noon: a day that has just begun has no "earlier today"."""
    behind = datetime.now(UTC).hour - 12  # Etc/GMT-3 is three hours ahead of Greenwich
    return f"Etc/GMT{behind:+d}" if behind else "UTC"


@pytest.fixture
async def runtime(database: Database) -> AsyncGenerator[Runtime]:
    """A runtime with a source that can be told what to say."""
    server = ServerSettings(time_zone=midday(), rate_per_minute=1_000_000, rate_burst=1_000_000)
    runtime = Runtime(Settings.load(server=server), database, Doorbell(database), {"zoho": FakeSource()}, erp_targets())
    yield runtime
    await runtime.settle()


@pytest.fixture
def application(runtime: Runtime) -> FastAPI:
    """The whole application."""
    return create_app(runtime)


@asynccontextmanager
async def client_of(runtime: Runtime, application: FastAPI, name: str, role: Role) -> AsyncGenerator[AsyncClient]:
    """Somebody with a token of that role; an exception in the application is answered, not raised here."""
    async with runtime.database.session() as session:
        made = await Tokens(session, record_access).create(name, role, expires_in=None, actor="test")
    transport = ASGITransport(application, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {made.secret.text}"}
    async with AsyncClient(transport=transport, base_url=f"http://test{PREFIX}", headers=headers) as client:
        yield client


@pytest.fixture
async def viewer(runtime: Runtime, application: FastAPI) -> AsyncGenerator[AsyncClient]:
    """Vic, who may look."""
    async with client_of(runtime, application, "vic", Role.VIEWER) as client:
        yield client


@pytest.fixture
async def operator(runtime: Runtime, application: FastAPI) -> AsyncGenerator[AsyncClient]:
    """Ann, who may act."""
    async with client_of(runtime, application, "ann", Role.OPERATOR) as client:
        yield client
