"""How many statements a batch is: counted where the application sends them, so on any server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr
from sqlalchemy import event

from app.core.config import QueueSettings, ZohoSettings
from app.core.database import Database
from app.tds.core import claims, inbox
from app.tds.core.apply import Applier
from app.tds.core.ports import RawRecord
from app.tds.core.validation import validate_batch
from app.tds.sources.zoho import ZohoSource
from app.tds.targets.erp import erp_targets
from app.tds.workers.worker import SyncWorker
from benchmarks.deliveries import SECRET, item_bodies
from benchmarks.server import BenchServer, opened

__all__ = ["counted", "statements_by_batch"]


@asynccontextmanager
async def counted(database: Database) -> AsyncGenerator[list[str]]:
    """A list that fills with the statements sent; those that open, end and nest transactions are not seen."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        sent.append(arguments[2])

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def statements_by_batch(server: BenchServer, sizes: Sequence[int]) -> dict[str, dict[str, int]]:
    """By size of the batch: statements to store it, and to take and apply it; or to validate it, to claim and apply."""
    found: dict[str, dict[str, int]] = {}
    first = 0
    async with server.fresh_database() as url, opened(url) as database:
        for size in sizes:
            found[str(size)] = await _batch(database, first, size)
            first += 2 * size
    return found


async def _batch(database: Database, first: int, size: int) -> dict[str, int]:
    source = ZohoSource(ZohoSettings(webhook_secret=SecretStr(SECRET)))
    settings = QueueSettings(batch_size=size)
    living = SyncWorker(database=database, applier=Applier(erp_targets()), sources={"zoho": source}, settings=settings)
    await _all(living, 0)
    async with counted(database) as storing:
        await _store(database, first, size)
    async with counted(database) as taking:
        await _all(living, size)
    await _store(database, first + size, size)
    async with counted(database) as validating, database.transaction() as session:
        await claims.guard(session, lease=settings.lease_seconds)
        await validate_batch(session, {"zoho": source}, limit=size)
    worker = SyncWorker(database=database, applier=Applier(erp_targets()), settings=settings)
    async with counted(database) as applying:
        await _all(worker, size)
    await source.aclose()
    return {
        "store": len(storing),
        "take_apply": len(taking),
        "validate": len(validating),
        "claim_apply": len(applying),
    }


async def _store(database: Database, first: int, size: int) -> None:
    records = [RawRecord(body=body) for body in item_bodies(size, first=first)]
    async with database.transaction() as session:
        await inbox.store_records(session, records, source="zoho", run_id=None)


async def _all(worker: SyncWorker, size: int) -> None:
    report = await worker.process_batch()
    if len(report.ends) != size:
        raise RuntimeError(f"a batch of {size} had {len(report.ends)} items")
