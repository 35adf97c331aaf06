"""Plans do not depend on statistics: a batch reads its own rows, whatever the server believes about the tables.

Measured by what PostgreSQL itself counts inside the transaction: rows read by scans of whole tables, and by indexes.
Enough batches are worked on for generic plans of prepared statements to come into use (the sixth execution).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import utc_now
from app.core.database import Database
from app.core.partitions import PARTITIONED
from app.tds.core import claims, inbox
from app.tds.core.enqueueing import Hold
from app.tds.core.outcomes import Done
from app.tds.core.validation import take, understand, validate_batch
from app.tds.types import Outcome
from tests.support.pipeline import FakeSource, applier, execute, records, value

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

BATCH: Final = 40
BATCHES: Final = 8
OLD: Final = 20_000
SMALL: Final = ("tds_pauses", "locks", "epochs", "tds_workers", "tds_metrics")
TABLES: Final = ("erp_products", "tds_dead_letter_queue", "tds_dedupe_keys", "tds_entities", *sorted(PARTITIONED))

HISTORY: Final = (
    f"""INSERT INTO tds_inbox_events (id, source, entity_type, source_entity_id, body, content_hash, signature, status,
            completed_at)
        SELECT overlay(gen_random_uuid()::text PLACING '019a0000-0000-7' FROM 1 FOR 15)::uuid, 'zoho', 'product',
            'old-' || n, '', '', 'valid', 'completed', now() FROM generate_series(1, {OLD}) AS n""",
    f"""INSERT INTO tds_sync_queue (id, source, entity_type, source_entity_id, operation_type, validated_payload,
            status, outcome, completed_at)
        SELECT overlay(gen_random_uuid()::text PLACING '019a0000-0000-7' FROM 1 FOR 15)::uuid, 'zoho', 'product',
            'old-' || n, 'upsert', '{{}}', 'completed', 'updated', now() FROM generate_series(1, {OLD}) AS n""",
    f"""INSERT INTO tds_entities (source, entity_type, source_entity_id, local_id)
        SELECT 'zoho', 'product', 'old-' || n, gen_random_uuid()::text FROM generate_series(1, {OLD}) AS n""",
    f"""INSERT INTO erp_products (id, name) SELECT gen_random_uuid(), 'old' FROM generate_series(1, {OLD}) AS n""",
    f"""INSERT INTO tds_dead_letter_queue (id, source, entity_type, source_entity_id, failure_reason, error_code,
            fingerprint, resolved, resolved_at)
        SELECT gen_random_uuid(), 'zoho', 'product', 'old-' || n, 'x', 'x', 'x', true, now()
        FROM generate_series(1, {OLD}) AS n""",
)
READ: Final = text("""
    SELECT relname, seq_tup_read, COALESCE(idx_tup_fetch, 0) AS fetched FROM pg_stat_xact_user_tables
    WHERE seq_tup_read > 0 OR idx_tup_fetch > 0
""")


async def _still(database: Database) -> None:
    """No autovacuum: the statistics stay as the test made them."""
    names = await value(
        database,
        "SELECT array_agg(relname::text) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    await execute(database, *(f"ALTER TABLE {name} SET (autovacuum_enabled = off)" for name in names))


async def _analyse(database: Database) -> None:
    await execute(database, *(f"ANALYZE {table}" for table in TABLES))


async def never_analysed(database: Database) -> None:
    """As after an upgrade of the server, which keeps no statistics."""
    await _still(database)
    await execute(database, *HISTORY)


async def analysed_empty(database: Database) -> None:
    """As after a first start: the server believes that there is nothing in the tables."""
    await _still(database)
    await _analyse(database)
    await execute(database, *HISTORY)


async def analysed_full(database: Database) -> None:
    """As in a quiet hour: all old, nothing pending."""
    await _still(database)
    await execute(database, *HISTORY)
    await _analyse(database)


class Meter:
    """What transactions have read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.scanned: dict[str, int] = {}
        self.fetched: list[int] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """A batch's transaction, whose reads are counted."""
        async with self._database.transaction() as session:
            await claims.guard(session, lease=60)
            before = {row.relname: row for row in await session.execute(READ)}  # the server adds up, for a while
            yield session
            after = (await session.execute(READ)).all()
        for row in after:
            scanned = row.seq_tup_read - (before[row.relname].seq_tup_read if row.relname in before else 0)
            if scanned and row.relname not in SMALL:
                self.scanned[row.relname] = scanned
        self.fetched.append(sum(row.fetched for row in after) - sum(row.fetched for row in before.values()))


@pytest.mark.parametrize("state", [never_analysed, analysed_empty, analysed_full])
async def test_a_batch_reads_its_own_rows_only(
    database: Database, state: Callable[[Database], Awaitable[None]]
) -> None:
    """Validate, claim and apply, batch after batch; no table is scanned, and no batch costs more."""
    await state(database)
    source, meter, busy = FakeSource(), Meter(database), applier()
    async with database.transaction() as session:
        await inbox.store_records(session, records(BATCH * BATCHES), source="zoho", run_id=None)
    for _ in range(BATCHES):
        async with meter.transaction() as session:
            assert (await validate_batch(session, {"zoho": source}, limit=BATCH)).queued == BATCH
    for _ in range(BATCHES):
        async with meter.transaction() as session:
            items = await claims.claim(session, worker="one", limit=BATCH, lease=60)
        async with meter.transaction() as session:
            report = await busy.apply(session, items, worker="one")
        assert len(report.ends) == BATCH
    assert meter.scanned == {}
    assert max(meter.fetched) <= 8 * BATCH


@pytest.mark.parametrize("state", [never_analysed, analysed_empty, analysed_full])
async def test_so_does_a_batch_that_is_applied_as_it_is_taken(
    database: Database, state: Callable[[Database], Awaitable[None]]
) -> None:
    """New entities and known ones."""
    await state(database)
    source, meter, busy = FakeSource(), Meter(database), applier()
    outcomes: set[Outcome] = set()
    async with database.transaction() as session:
        await inbox.store_records(session, records(BATCH * BATCHES), source="zoho", run_id=None)
        await inbox.store_records(session, records(BATCH * BATCHES, minutes=1), source="zoho", run_id=None)
    for _ in range(2 * BATCHES):
        async with meter.transaction() as session:
            items = understand(await take(session, limit=BATCH), {"zoho": source}).items
            report = await busy.apply_taken(session, items, hold=Hold("one", 60), now=utc_now())
        assert len(report.ends) == BATCH
        outcomes |= {end.outcome for _, end in report.ends if isinstance(end, Done)}
    assert outcomes == {Outcome.CREATED, Outcome.UPDATED}
    assert meter.scanned == {}
    assert max(meter.fetched) <= 8 * BATCH
