"""Every filter of every list is led by an index: what is rare and old is found without reading through history."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from httpx2 import AsyncClient
from sqlalchemy import event

from app.core.database import Database
from tests.support.pipeline import execute

pytestmark = pytest.mark.integration

ROWS: Final = 20_000
TOUCHED: Final = 500
"""What a page may read, far below what there is."""

# Ids of the last minute, each a millisecond older than the one before: the rare rows are the oldest.
ID = f"""
    CAST(lpad(to_hex(CAST(extract(epoch FROM now()) * 1000 AS bigint) - n), 12, '0') || '70008000'
         || lpad(to_hex({ROWS} - n), 12, '0') AS uuid)
"""
FILL: Final = (
    f"""
    INSERT INTO tds_dead_letter_queue
        (id, source, entity_type, source_entity_id, failure_reason, error_code, fingerprint, resolved, resolved_at)
    SELECT {ID}, 'zoho', CASE WHEN n > {ROWS - 4} THEN 'customer' ELSE 'product' END, 'p' || n, 'x',
           CASE WHEN n > {ROWS - 4} THEN 'rare' ELSE 'usual' END, CASE WHEN n > {ROWS - 4} THEN 'rare' ELSE 'usual' END,
           n % 2 = 0, CASE WHEN n % 2 = 0 THEN now() END
    FROM generate_series(1, {ROWS}) AS n""",
    f"""
    INSERT INTO tds_sync_runs (id, run_type, source, entity_type, status, completed_at)
    SELECT {ID}, 'zoho', CASE WHEN n > {ROWS - 4} THEN 'other' ELSE 'zoho' END,
           CASE WHEN n > {ROWS - 4} THEN 'customer' ELSE 'product' END,
           CASE WHEN n > {ROWS - 8} THEN 'failed' ELSE 'completed' END, now()
    FROM generate_series(1, {ROWS}) AS n""",
    f"""
    INSERT INTO tds_audit_trail (id, entity_type, entity_id, operation, changed_fields, change_source, actor)
    SELECT {ID}, CASE WHEN n > {ROWS - 4} THEN 'pause' ELSE 'product' END, 'e' || n % 5000, 'update', '{{}}',
           CASE WHEN n > {ROWS - 4} THEN 'manual' ELSE 'zoho' END, CASE WHEN n > {ROWS - 2} THEN 'ann' ELSE 'w1' END
    FROM generate_series(1, {ROWS}) AS n""",
    f"""
    INSERT INTO tds_sync_queue
        (id, source, entity_type, source_entity_id, operation_type, validated_payload, status, outcome, completed_at)
    SELECT {ID}, 'zoho', 'product', 'p' || n % 5000, 'upsert', '{{}}', 'completed', 'updated', now()
    FROM generate_series(1, {ROWS}) AS n""",
    "ANALYZE tds_dead_letter_queue",
    "ANALYZE tds_sync_runs",
    "ANALYZE tds_audit_trail",
    "ANALYZE tds_sync_queue",
)
LISTS: Final = {
    "/dead-letter": 20,
    "/dead-letter?entity_type=customer": 2,
    "/dead-letter?entity_type=customer&resolved=all": 4,
    "/dead-letter?entity_type=customer&resolved=true": 2,
    "/dead-letter?error_code=rare": 2,
    "/dead-letter?fingerprint=rare": 2,
    "/dead-letter?source_entity_id=p7": 1,
    "/dead-letter?resolved=true": 20,
    "/runs": 20,
    "/runs?entity_type=customer": 4,
    "/runs?source=other": 4,
    "/runs?status=failed": 8,
    "/runs?status=failed&status=processing": 8,
    "/runs?status=failed&entity_type=customer": 4,
    "/audit": 20,
    "/audit?entity_id=e1": 4,
    "/audit?entity_id=e1&entity_type=product": 4,
    "/audit?manual=true": 5,  # the token of who asks is one
    "/audit?manual=true&entity_type=pause": 4,
    "/audit?actor=ann": 2,
    "/entities/product/p1/timeline": 5,
}


@contextmanager
def selects(database: Database) -> Generator[list[tuple[str, Any]]]:
    """A list that fills with the SELECTs sent, and what is bound to each."""
    sent: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        if arguments[2].lstrip().startswith(("SELECT", "WITH")):
            sent.append((arguments[2], arguments[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


def touched(plan: dict[str, Any]) -> int:
    """How many rows the nodes of a plan that read a table have looked at."""
    removed = sum(plan.get(name, 0) for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck"))
    own = (plan["Actual Rows"] + removed) * plan["Actual Loops"] if "Relation Name" in plan else 0
    return int(own) + sum(touched(part) for part in plan.get("Plans", []))


async def rows_read(database: Database, sent: list[tuple[str, Any]]) -> int:
    """The rows that these statements look at, by the database's own account."""
    total = 0
    async with database.engine.connect() as connection:
        for sql, parameters in sent:
            found = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
            total += touched(found.scalar_one()[0]["Plan"])
    return total


class TestFilters:
    """Lists on tables in which what is asked for is rare, and the oldest there is."""

    async def test_read_a_page_and_not_history(self, viewer: AsyncClient, database: Database) -> None:
        """The entries are found, and hardly more is looked at than is shown."""
        await execute(database, *FILL)
        reads: dict[str, int] = {}
        for url in LISTS:
            with selects(database) as sent:
                answer = await viewer.get(url)
            assert answer.status_code == 200, answer.text
            reads[url] = await rows_read(database, sent)
        assert {url: read for url, read in reads.items() if read > TOUCHED} == {}

    async def test_find_what_there_is(self, viewer: AsyncClient, database: Database) -> None:
        """As many entries as were stored, up to a page."""
        await execute(database, *FILL)
        found = {url: len((await viewer.get(url)).json()) for url in LISTS}
        assert found == LISTS

    async def test_refuse_a_search_through_the_whole_trail(self, viewer: AsyncClient) -> None:
        """An entity type alone is no way into the audit trail; the answer says what is."""
        answer = await viewer.get("/audit?entity_type=product")
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:tds:problem:audit-too-wide"
        assert "manual=true" in answer.json()["detail"]
