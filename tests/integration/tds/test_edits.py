"""Edits of what is known: what they cost under an old snapshot, and what is not lost by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import utc_now
from app.core.database import Database
from app.tds.core import claims, inbox, ledger
from app.tds.core.enqueueing import Hold
from app.tds.core.errors import RowMissingError
from app.tds.core.ledger import EntityState
from app.tds.core.validation import take, understand
from app.tds.sql import statement
from app.tds.targets.rows import write_all
from tests.support.pipeline import FakeSource, applier, body, eventually, records, rows, statements, store
from tests.support.taking import begun, ends, somebody_waits

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

ITEMS: Final = 10
EDITS: Final = 20
"""So few that all their versions have entries on one page of an index, where PostgreSQL makes no lists of them yet."""
WALKED: Final = text("""
    SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index
    WHERE indexrelid IN (CAST('pk_tds_entities' AS regclass), CAST('pk_erp_products' AS regclass))
""")
"""Entries of these indexes that looks have gone over in this transaction, those of dead versions too."""


@asynccontextmanager
async def old_snapshot(database: Database) -> AsyncGenerator[None]:
    """A transaction that sees the database as it is now, and keeps whatever it could see."""
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        await connection.execute(text("SELECT count(*) FROM tds_entities"))
        yield


async def walked(session: AsyncSession) -> int:
    """See `WALKED`; the server adds up, for a while."""
    return int((await session.execute(WALKED)).scalar_one())


async def test_an_old_snapshot_makes_no_look_for_a_row_dearer(database: Database) -> None:
    """Each edit leaves dead versions of ledger and product behind: none is walked over by the next one."""
    source, busy, costs = FakeSource(), applier(), list[int]()
    async with old_snapshot(database):
        for edit in range(EDITS):
            async with database.transaction() as session:
                await inbox.store_records(session, records(ITEMS, minutes=edit), source="zoho", run_id=None)
            async with database.transaction() as session:
                await claims.guard(session, lease=60)
                before = await walked(session)
                items = understand(await take(session, limit=ITEMS), {"zoho": source}).items
                report = await busy.apply_taken(session, items, hold=Hold("one", 60), now=utc_now())
                costs.append(await walked(session) - before)
            assert len(report.ends) == ITEMS
    _, first, *later = costs
    assert first > 0
    assert set(later) == {first}


async def test_known_entities_are_locked_and_no_rows_opened_for_them(database: Database) -> None:
    """From the second batch on that holds nothing else; what is new beside them is opened all the same."""
    busy, opened = await begun(database), list[int]()
    for minutes, identifiers in enumerate(("ab", "ab", "ab", "abc", "c")):
        for identifier in identifiers:
            await store(database, body(identifier, {"name": f"{identifier} {minutes}"}, minutes))
        with statements(database) as sent:
            report = await busy.process_batch()
        assert set(ends(report.ends).values()) <= {"created", "updated"}
        opened.append(sum("INSERT INTO tds_entities" in one for one in sent))
    assert opened == [1, 1, 0, 1, 1]
    assert await rows(database, "SELECT name FROM erp_products ORDER BY name") == [
        {"name": "a 3"},
        {"name": "b 3"},
        {"name": "c 4"},
    ]


async def test_what_somebody_else_edits_meanwhile_is_not_lost(database: Database) -> None:
    """A row is written whole, so it is locked when it is read: what the change does not know stays as it is."""
    busy = await begun(database)
    await store(database, body("1", {"name": "Cable"}, 1))
    await busy.process_batch()
    await store(database, body("1", {"name": "Cable, 2 m"}, 2))
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE erp_products SET brand = 'Ugreen'"))
        working = asyncio.create_task(busy.process_batch())

        await eventually(lambda: somebody_waits(database))
    assert ends((await working).ends) == {"1": "updated"}
    assert await rows(database, "SELECT name, brand FROM erp_products") == [{"name": "Cable, 2 m", "brand": "Ugreen"}]


async def test_a_ledger_row_that_is_not_there_is_an_error(database: Database) -> None:
    """It cannot be while it is locked; if it were, the batch must not be committed without it."""
    there, missing = EntityState("zoho", "product", "1"), EntityState("zoho", "product", "2")
    async with database.transaction() as session:
        assert await ledger.open_as(session, [there]) == {there.key}
        await ledger.save(session, [there])
        with pytest.raises(RowMissingError, match="1 of 2"):
            await ledger.save(session, [there, missing])


async def test_all_are_locked_or_none(database: Database) -> None:
    """What is locked in pieces could be waited for crosswise."""
    keys = [("zoho", "product", str(number)) for number in range(3)]
    async with database.transaction() as session:
        await ledger.open_rows(session, keys[:2])
    async with database.transaction() as session, database.transaction() as other:
        assert await ledger.lock_all(session, keys) is None
        assert await ledger.lock_all(other, keys[:2]) == {key: EntityState(*key) for key in keys[:2]}


async def test_whatever_is_new_is_opened_at_once(database: Database) -> None:
    """What is to be made, what was deleted unseen, what cannot be used: in one statement, and so in one order."""
    busy = await begun(database)
    await store(database, body("b", {"name": "Cable"}, 1))
    await store(database, body("a", None, 1))
    await store(database, body("c", {"name": "Cable", "price": "dear"}, 1))
    with statements(database) as sent:
        report = await busy.process_batch()
    assert ends(report.ends) == {"a": "unchanged", "b": "created", "c": "Dead"}
    assert sum("INSERT INTO tds_entities" in one for one in sent) == 1
    assert sum("Lock the ledger rows" in one for one in sent) == 1  # the look that found nothing and locked nothing
    found = await rows(
        database, "SELECT source_entity_id AS id, local_id IS NOT NULL AS known FROM tds_entities ORDER BY 1"
    )
    assert found == [{"id": "a", "known": False}, {"id": "b", "known": True}, {"id": "c", "known": False}]


async def test_a_row_that_was_not_locked_and_has_moved_is_an_error(database: Database) -> None:
    """Written by its place, it would be left out silently."""
    row: dict[str, Any] = {
        "id": "019a0000-0000-7000-8000-000000000001",
        "name": "Cable",
        "status": "active",
        "custom_fields": {},
    }
    clause = statement("write_products")
    async with database.transaction() as session:
        await write_all(session, clause, [row])
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE erp_products SET brand = 'Ugreen'"))

        async def write() -> None:
            async with database.transaction() as session:
                await write_all(session, clause, [row])

        working = asyncio.create_task(write())
        await eventually(lambda: somebody_waits(database))
    with pytest.raises(RowMissingError, match="1 of 1"):
        await working
