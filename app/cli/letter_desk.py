"""What the commands on dead letters work with: the service on a session, in a runtime."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app.cli.running import load_settings, runtime

if TYPE_CHECKING:
    from app.bootstrap import Runtime
    from app.tds.core.dead_letter_service import DeadLetterService

__all__ = ["letter_service"]


@asynccontextmanager
async def letter_service() -> AsyncGenerator[tuple[Runtime, DeadLetterService]]:
    """The service, and the runtime it lives in."""
    from app.bootstrap import build_applier
    from app.tds.core.dead_letter_service import DeadLetterService

    async with runtime(load_settings()) as opened, opened.database.session() as session:
        yield opened, DeadLetterService(session, opened.sources, build_applier(opened))
