"""Getting deliveries into the inbox: in bulk through the application's own code, or over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final

from pydantic import SecretStr

from app.cli.children import ChildError
from app.core.config import ZohoSettings
from app.core.database import Database
from app.tds.core import inbox
from app.tds.core.ports import Delivery, RawRecord
from app.tds.sources.zoho import ZohoSource
from benchmarks.deliveries import SECRET, delivery, http_request
from benchmarks.load import Load, Outcome, run_load
from benchmarks.processes import Tds
from benchmarks.server import opened

__all__ = ["Way", "store"]

_CONNECTIONS: Final = 2
_HTTP_CONNECTIONS: Final = 32
_WINDOW: Final = timedelta(days=7)


class Way(StrEnum):
    """How deliveries reach the inbox."""

    RECORDS = "records"
    RECEIVE = "receive"
    HTTP = "http"

    def told(self, batch: int) -> str:
        """For the report."""
        return {
            Way.RECORDS: f"signatures checked, then app.tds.core.inbox.store_records, {batch} a commit, no dedupe keys",
            Way.RECEIVE: f"signatures checked, then app.tds.core.inbox.receive with dedupe keys, {batch} a commit",
            Way.HTTP: f"tds serve, {_HTTP_CONNECTIONS} connections, one commit for each delivery",
        }[self]


async def store(way: Way, url: str, tds: Tds, bodies: Sequence[bytes], batch: int) -> Outcome | None:
    """Store all bodies, durably; over HTTP the outcome of the load is returned.

    Raises:
        ChildError: the server did not accept all of them.
    """
    if way is Way.HTTP:
        return await _over_http(tds, bodies)
    deliveries = [delivery(body) for body in bodies]
    async with opened(url, pool_size=_CONNECTIONS) as database:
        pieces = iter([deliveries[first : first + batch] for first in range(0, len(deliveries), batch)])
        await asyncio.gather(*(_store(database, pieces, way) for _ in range(_CONNECTIONS)))
    return None


async def _store(database: Database, pieces: Iterator[list[Delivery]], way: Way) -> None:
    source = ZohoSource(ZohoSettings(webhook_secret=SecretStr(SECRET)))
    try:
        for piece in pieces:
            await _write(database, [(one, source.receive(one)) for one in piece], way)
    finally:
        await source.aclose()


async def _write(database: Database, piece: Sequence[tuple[Delivery, RawRecord]], way: Way) -> None:
    async with database.transaction() as session:
        if way is Way.RECORDS:
            await inbox.store_records(session, [record for _, record in piece], source="zoho", run_id=None)
            return
        for one, record in piece:
            await inbox.receive(session, record, source="zoho", headers=one.headers, window=_WINDOW)


async def _over_http(tds: Tds, bodies: Sequence[bytes]) -> Outcome:
    async with tds.server() as (_, host, port):
        requests = [http_request(body, host) for body in bodies]
        outcome = await run_load(Load(host=host, port=port, requests=requests, connections=_HTTP_CONNECTIONS))
    if outcome.refused() or outcome.answered != len(bodies):
        raise ChildError(f"the server did not accept every delivery: {outcome.figures()}")
    return outcome
