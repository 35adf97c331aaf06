"""The web application: routers and lifespan; no logic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import text

from app.bootstrap import Runtime, build_applier, build_pool
from app.core.problems import install_problem_handlers
from app.tds.api.administration import administration_router
from app.tds.api.webhooks import webhook_router

__all__ = ["create_app"]


def create_app(runtime: Runtime, *, workers: int = 0) -> FastAPI:
    """The API on an open runtime; with ``workers``, their loops run in the same process."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        if workers == 0:
            yield
            await runtime.doorbell.close()
            return
        pool = build_pool(runtime, count=workers)
        running = asyncio.ensure_future(pool.run())
        try:
            yield
        finally:
            pool.stop()
            await running

    app = FastAPI(title="TSH Data Sync", version=version("tsh-data-sync"), lifespan=lifespan)
    install_problem_handlers(app)
    settings = runtime.settings.webhook
    app.include_router(
        webhook_router(
            database=runtime.database,
            doorbell=runtime.doorbell,
            sources=dict(runtime.sources),
            max_bytes=settings.max_bytes,
            window=timedelta(hours=settings.dedupe_hours),
        )
    )
    app.include_router(
        administration_router(
            database=runtime.database,
            doorbell=runtime.doorbell,
            sources=runtime.sources,
            applier=build_applier(runtime),
            token=runtime.settings.server.admin_token,
        )
    )

    @app.get("/health/live", tags=["health"], operation_id="isLive")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/health/ready", tags=["health"], operation_id="isReady")
    async def ready() -> JSONResponse:
        """The process and its database answer."""
        async with runtime.database.session() as session:
            await session.execute(text("SELECT 1"))
        return JSONResponse({"status": "ok"})

    return app
