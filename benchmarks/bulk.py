"""The bulk-load limit: how fast the same final rows go into the same tables by COPY, with all indexes and constraints.

Nothing can store these rows quicker on this server, whatever it leaves out; a pipeline is judged by how near it comes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from app.core.orm import Base
from benchmarks.figures import per
from benchmarks.server import BenchServer, connected

__all__ = ["Export", "bulk_limit", "export_rows"]

_CONNECTIONS: Final = (1, 2)
_FILLED: Final = """
    SELECT relname AS name
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND relname <> 'alembic_version'
"""


@dataclass(frozen=True, slots=True)
class Export:
    """The rows of one table, as a file of COPY's binary format."""

    table: str
    rows: int
    file: Path


async def export_rows(url: str, folder: Path) -> list[Export]:
    """Write every table that has rows to a file, referenced tables first."""
    order = {table.name: place for place, table in enumerate(Base.metadata.sorted_tables)}
    exports: list[Export] = []
    async with connected(url) as connection:
        names = [str(row["name"]) for row in await connection.fetch(_FILLED)]
        for name in sorted(names, key=lambda name: order.get(name, len(order))):
            file = folder / f"{name}.copy"
            status = await connection.copy_from_query(f'SELECT * FROM "{name}"', output=file, format="binary")
            if rows := int(status.split()[-1]):
                exports.append(Export(name, rows, file))
    return exports


async def bulk_limit(server: BenchServer, exports: list[Export], items: int) -> dict[str, Any]:
    """Load the exports into fresh databases, on one connection and on two; the better one is the limit."""
    seconds: dict[int, float] = {}
    for connections in _CONNECTIONS:
        async with server.fresh_database() as url:
            seconds[connections] = await _load(url, exports, connections)
    best = min(seconds, key=lambda connections: seconds[connections])
    return {
        "bulk_limit_items_per_second": round(items / seconds[best], 1),
        "bulk_limit": {
            "seconds": {f"connections_{number}": round(value, 3) for number, value in seconds.items()},
            "best_with_connections": best,
            "rows": {export.table: export.rows for export in exports},
            "bytes_per_item": per(sum(export.file.stat().st_size for export in exports), items, places=1),
        },
    }


async def _load(url: str, exports: list[Export], connections: int) -> float:
    """Seconds that COPY takes. Each table is one COPY and one transaction; references are checked as always."""
    async with connected(url) as connection:
        names = ", ".join(f'"{row["name"]}"' for row in await connection.fetch(_FILLED))
        await connection.execute(f"TRUNCATE {names} CASCADE")  # a migration may have put rows of its own there
        await connection.execute("CHECKPOINT")
    opened = [await asyncpg.connect(url) for _ in range(connections)]
    try:
        began = time.perf_counter()
        for wave in _waves(exports):
            await asyncio.gather(*(_copy(one, wave) for one in opened))
        return time.perf_counter() - began
    finally:
        for one in opened:
            await one.close()


def _waves(exports: list[Export]) -> list[list[Export]]:
    """Tables that others refer to go first; within a wave the largest, so that all connections end together."""
    referenced = {key.column.table.name for table in Base.metadata.tables.values() for key in table.foreign_keys}
    by_size = sorted(exports, key=lambda export: export.file.stat().st_size, reverse=True)
    first = [export for export in by_size if export.table in referenced]
    rest = [export for export in by_size if export.table not in referenced]
    return [first, rest]


async def _copy(connection: asyncpg.Connection[Any], wave: list[Export]) -> None:
    """Load what no other connection has taken yet."""
    while wave:
        export = wave.pop(0)
        await connection.copy_to_table(export.table, source=export.file, format="binary")
