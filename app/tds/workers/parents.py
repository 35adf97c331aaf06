"""Fetch what others wait for: a parent that has not come by itself is asked for at its source, by id."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Final

from app.core import locks
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.errors import TdsError
from app.core.telemetry import get_logger
from app.tds.core import inbox
from app.tds.core.ports import RawRecord, Source
from app.tds.core.waiting import entity_of
from app.tds.sql import statement
from app.tds.types import EntityType

__all__ = ["ParentFetcher"]

_log = get_logger(__name__)
_DEFERRALS: Final = 3
"""Waits of 5, 10 and 20 s have passed by then: a parent that was only late has come."""
_AGAIN_SECONDS: Final = 600.0
_AT_ONCE: Final = 20


class ParentFetcher:
    """One process asks at a time, and for the same entity not again for ten minutes: calls are scarce."""

    def __init__(self, database: Database, sources: Mapping[str, Source], doorbell: Doorbell, name: str) -> None:
        self._database = database
        self._sources = sources
        self._doorbell = doorbell
        self._asked: dict[str, float] = {}
        self.name = name

    async def step(self) -> bool:
        """Fetch what has been waited for long enough; never asks to be called again at once."""
        async with self._database.session() as session:
            parameters = {"deferrals": _DEFERRALS, "limit": _AT_ONCE}
            awaited = [
                (row.source, row.waits_for) for row in await session.execute(statement("long_awaited"), parameters)
            ]
        self._asked = {key: at for key, at in self._asked.items() if at > monotonic() - _AGAIN_SECONDS}
        if wanted := [pair for pair in awaited if pair[1] not in self._asked]:
            async with locks.leading(self._database, "parents", holder=self.name, seconds=120) as lease:
                for source, wait in wanted if lease is not None else []:
                    await self._fetch(source, wait)
        return False

    async def _fetch(self, name: str, wait: str) -> None:
        self._asked[wait] = monotonic()
        _, entity_type, source_entity_id = entity_of(wait)
        source = self._sources.get(name)
        if source is None or entity_type not in source.entity_types:
            return
        try:
            record = await source.fetch(EntityType(entity_type), source_entity_id)
        except (TdsError, OSError) as error:
            _log.warning("parent_not_fetched", source=name, entity_type=entity_type, error=str(error))
            return
        if record is not None:
            await self._store(name, record)
        _log.info("parent_fetched", source=name, entity_type=entity_type, found=record is not None)

    async def _store(self, name: str, record: RawRecord) -> None:
        async with self._database.transaction() as session:
            await inbox.store_records(session, [record], source=name, run_id=None)
        self._doorbell.ring("inbox")
