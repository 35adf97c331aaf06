"""The fast lane answers what it knows to whom it knows, and differs in nothing else from the usual way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import text

from app.bff.router import CACHED_PATHS, PREFIX
from app.bootstrap import Runtime
from app.core.config import ServerSettings, Settings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.security.principals import Role
from app.main import create_app
from tests.support.access import bearer, make_token, revoke_token

OWN = frozenset({"x-cache", "x-request-id"})


def _client(application: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(application, raise_app_exceptions=False), base_url="http://test")


@asynccontextmanager
async def _process(runtime: Runtime) -> AsyncGenerator[AsyncClient]:
    """A client of a process of its own, which ends with the client."""
    async with _client(create_app(runtime)) as client:
        yield client
    await runtime.settle()


@pytest.mark.parametrize("path", sorted(CACHED_PATHS))
async def test_a_hit_is_what_the_usual_way_answers(application: FastAPI, database: Database, path: str) -> None:
    """Status, headers and bytes; only ``X-Cache`` tells them apart."""
    headers = bearer(await make_token(database, Role.VIEWER))
    async with _client(application) as client:
        usual = await client.get(path, headers=headers)
        hit = await client.get(path, headers=headers)
    assert (usual.headers["x-cache"], hit.headers["x-cache"]) == ("MISS", "HIT")
    assert (hit.status_code, hit.content) == (usual.status_code, usual.content)
    told = [{name: value for name, value in answer.headers.items() if name not in OWN} for answer in (usual, hit)]
    assert told[0] == told[1]
    assert "x-request-id" in hit.headers


async def test_a_revoked_token_gets_nothing_more_from_any_process(
    runtime: Runtime, application: FastAPI, database: Database
) -> None:
    """Though both processes know the token, and both have the answer."""
    made = await make_token(database, Role.VIEWER)
    other = Runtime(runtime.settings, database, runtime.doorbell, runtime.sources, runtime.targets)
    async with _client(application) as one, _process(other) as two:
        for client in (one, two, one, two):
            assert (await client.get(f"{PREFIX}/dashboard", headers=bearer(made))).status_code == 200
        await revoke_token(database, made)
        for client in (one, two):
            assert (await client.get(f"{PREFIX}/dashboard", headers=bearer(made))).status_code == 401


async def test_nobody_gets_what_somebody_has_asked_for(application: FastAPI, database: Database) -> None:
    """What is kept is not open."""
    headers = bearer(await make_token(database, Role.VIEWER))
    async with _client(application) as client:
        await client.get(f"{PREFIX}/dashboard", headers=headers)
        for wrong in ({}, bearer("tds_aaaaaaaa_" + "b" * 43), {"Authorization": headers["Authorization"][:-1]}):
            assert (await client.get(f"{PREFIX}/dashboard", headers=wrong)).status_code == 401


async def test_hits_count_as_requests(database: Database, doorbell: Doorbell) -> None:
    """Who asks too often is told so, hit or not."""
    settings = Settings.load(server=ServerSettings(rate_per_minute=1, rate_burst=3))
    runtime = Runtime(settings, database, doorbell, {}, {})
    headers = bearer(await make_token(database, Role.VIEWER))
    async with _process(runtime) as client:
        answers = [await client.get(f"{PREFIX}/alerts", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_a_parameter_that_is_refused_is_refused_always(application: FastAPI, database: Database) -> None:
    """It never gets an answer of its own to be kept."""
    headers = bearer(await make_token(database, Role.VIEWER))
    async with _client(application) as client:
        await client.get(f"{PREFIX}/runs", headers=headers)
        answers = [await client.get(f"{PREFIX}/runs?no=1", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [422, 422]


async def test_without_a_database_it_says_so(application: FastAPI, database: Database) -> None:
    """Rather than showing what may be over: nobody could tell it that the token was revoked."""
    headers = bearer(await make_token(database, Role.VIEWER))
    async with _client(application) as client:
        await client.get(f"{PREFIX}/dashboard", headers=headers)
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE epochs RENAME TO gone"))
        gone = await client.get(f"{PREFIX}/dashboard", headers=headers)
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE gone RENAME TO epochs"))
        back = await client.get(f"{PREFIX}/dashboard", headers=headers)
    assert (gone.status_code, gone.json()["type"]) == (503, "urn:tds:problem:database-unavailable")
    assert (back.status_code, back.headers["x-cache"]) == (200, "HIT")


async def test_its_connection_may_be_cut(application: FastAPI, database: Database) -> None:
    """The next look opens another."""
    headers = bearer(await make_token(database, Role.VIEWER))
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    async with _client(application) as client:
        await client.get(f"{PREFIX}/dashboard", headers=headers)
        async with database.transaction() as session:
            await session.execute(text(cut))
        answer = await client.get(f"{PREFIX}/dashboard", headers=headers)
    assert answer.status_code == 200
