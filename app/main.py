"""The web application: routers and lifespan; no logic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import text

from app.bff.cache import ViewCache
from app.bff.fast_lane import FastLane
from app.bff.front import Front
from app.bff.router import CACHED_PATHS, PREFIX, bff_router
from app.bff.shelf import Shelf
from app.bff.stream import stream_router
from app.bff.stream_hub import StreamHub
from app.bootstrap import Runtime, build_applier, build_pool, watching
from app.core.config import CacheSettings
from app.core.database import Database
from app.core.problems import install_problem_handlers
from app.core.security.application import GuardedApplication
from app.core.security.openapi import refusals
from app.core.security.routes import access_routers
from app.tds.api.administration import administration_router
from app.tds.api.desk import Desk
from app.tds.api.webhooks import webhook_router

__all__ = ["create_app"]


def create_app(runtime: Runtime, *, workers: int = 0) -> FastAPI:
    """The API on an open runtime; with ``workers``, their loops run in the same process."""
    streams = StreamHub(
        runtime.database, runtime.doorbell, runtime.epochs, runtime.settings.stream, listen=workers == 0
    )
    shelf = _shelf(runtime.settings.cache)
    cache = ViewCache(runtime.epochs, shelf, megabytes=runtime.settings.cache.megabytes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with _working(runtime, workers) if workers else watching(runtime):
            try:
                yield
            finally:
                await streams.aclose()
        await runtime.settle()
        if shelf is not None:
            await shelf.aclose()

    app = GuardedApplication(
        title="TSH Data Sync",
        version=version("tsh-data-sync"),
        lifespan=lifespan,
        redirect_slashes=False,
        cors_origins=runtime.settings.server.cors_origins,
        lane=partial(FastLane, cache=cache, gate=runtime.gate, paths=CACHED_PATHS),
    )
    app.state.on_stop = (streams.close,)
    install_problem_handlers(app)
    for router in (*access_routers(app, runtime.gate), *_routers(runtime, cache)):
        app.include_router(router)
    app.include_router(stream_router(streams, runtime.gate, prefix=PREFIX))
    app.include_router(_health_router(runtime.database))
    return app


@asynccontextmanager
async def _working(runtime: Runtime, workers: int) -> AsyncGenerator[None]:
    """The loops of workers, until the end of the block; batches in hand are finished."""
    pool = build_pool(runtime, count=workers)
    running = asyncio.ensure_future(pool.run())
    try:
        yield
    finally:
        pool.stop()
        await running


def _shelf(settings: CacheSettings) -> Shelf | None:
    return None if settings.url is None else Shelf(settings.url.get_secret_value(), prefix=settings.prefix)


def _routers(runtime: Runtime, cache: ViewCache) -> Iterable[APIRouter]:
    database, doorbell, settings = runtime.database, runtime.doorbell, runtime.settings
    desk = Desk(database=database, doorbell=doorbell, sources=runtime.sources, applier=build_applier(runtime))
    yield webhook_router(
        database=database,
        doorbell=doorbell,
        sources=dict(runtime.sources),
        max_bytes=settings.webhook.max_bytes,
        window=timedelta(hours=settings.webhook.dedupe_hours),
    )
    yield administration_router(desk, runtime.gate)
    yield bff_router(Front(desk=desk, cache=cache, zone=settings.server.zone), runtime.gate)


def _health_router(database: Database) -> APIRouter:
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live", operation_id="isLive")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @router.get("/ready", operation_id="isReady", responses=refusals(503))
    async def ready() -> JSONResponse:
        """The process and its database answer."""
        async with database.session() as session:
            await session.execute(text("SELECT 1"))
        return JSONResponse({"status": "ok"})

    return router
