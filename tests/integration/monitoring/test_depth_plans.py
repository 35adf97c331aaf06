"""What is read by an index is read by one process."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Database
from app.tds.monitoring.depths import by_index
from app.tds.sql import statement

pytestmark = pytest.mark.integration

ROLLUPS = """
    INSERT INTO tds_metrics (minute, worker_id, entity_type, latency_counts)
    SELECT date_trunc('minute', now()) - n * interval '1 minute', 'w', 'product', array_fill(0, ARRAY[14])
    FROM generate_series(1, 20000) AS n
"""
EAGER = (
    "SET LOCAL parallel_setup_cost = 0",
    "SET LOCAL parallel_tuple_cost = 0",
    "SET LOCAL min_parallel_table_scan_size = 0",
    "SET LOCAL min_parallel_index_scan_size = 0",
    "ANALYZE tds_metrics",
)


async def plan(session: AsyncSession) -> str:
    """How the entity types would be read."""
    return "\n".join((await session.execute(text(f"EXPLAIN {statement('read_entities').text}"))).scalars())


async def test_no_helpers_are_started_for_a_few_rows(database: Database) -> None:
    """However much the planner expects: it cannot know from when on rollups are wanted."""
    async with database.transaction() as session:
        await session.execute(text(ROLLUPS))
        for sql in EAGER:
            await session.execute(text(sql))
        assert "Gather" in await plan(session)
        async with by_index(session):
            assert "Gather" not in await plan(session)
