"""When a token or a session was last used: noted in passing, written once a minute, off every request's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import Uuid

from app.core.database import Database
from app.core.telemetry import get_logger

__all__ = ["Used", "Uses"]

Used = tuple[Literal["token", "session"], UUID]

_log = get_logger(__name__)
_BETWEEN_SECONDS: Final = 60.0
_MOST_KEPT: Final = 10_000
_IDS: Final = bindparam("ids", type_=ARRAY(Uuid(as_uuid=True)))
# In the order of their ids, so that two processes that write at once never hold what the other waits for.
_WRITE: Final = {
    kind: text(f"""
    UPDATE {table} SET last_used_at = now() WHERE id IN (
        SELECT id FROM {table} WHERE id = ANY(:ids)
          AND (last_used_at IS NULL OR last_used_at < now() - interval '30 seconds') ORDER BY id FOR UPDATE)
    """).bindparams(_IDS)  # noqa: S608 - of our own two names
    for kind, table in (("token", "api_tokens"), ("session", "browser_sessions"))
}


class Uses:
    """Notes uses; writes them in the background."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = now
        self._noted: dict[Used, float] = {}
        self._waiting: set[Used] = set()
        self._writing: asyncio.Task[None] | None = None

    def note(self, used: Used) -> None:
        """It was used just now."""
        now = self._now()
        if now - self._noted.get(used, float("-inf")) < _BETWEEN_SECONDS:
            return
        if len(self._noted) >= _MOST_KEPT:
            self._noted.clear()  # each is noted once more
        self._noted[used] = now
        self._waiting.add(used)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def settle(self) -> None:
        """Wait until what was noted is written."""
        while self._writing is not None and not self._writing.done():
            await asyncio.shield(self._writing)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, set()
            try:
                await self._write_batch(batch)
            except (SQLAlchemyError, OSError) as error:  # it is noted again in a minute
                _log.warning("last_use_not_written", error=str(error))

    async def _write_batch(self, batch: set[Used]) -> None:
        async with self._database.transaction() as session:
            for kind, statement in _WRITE.items():
                ids = [identifier for of, identifier in batch if of == kind]
                if ids:
                    await session.execute(statement, {"ids": ids})
