"""What work costs: WAL, statements, row versions, and the processor time of Python and PostgreSQL.

WAL and PostgreSQL's processor time are the whole server's: a benchmark wants the server for itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import psutil

from benchmarks.figures import per

__all__ = ["Meter", "Reading", "cost", "row_versions", "transactions", "vital_figures"]

_READ: Final = """
    SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8
"""
_TRANSACTIONS: Final = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
_STATEMENTS: Final = (
    "SELECT sum(calls)::bigint FROM pg_stat_statements "
    "WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_VERSIONS: Final = """
    SELECT coalesce(sum(n_dead_tup), 0)::bigint AS dead_tuples,
           coalesce(sum(n_tup_ins), 0)::bigint AS inserted,
           coalesce(sum(n_tup_upd), 0)::bigint AS updated,
           coalesce(sum(n_tup_hot_upd), 0)::bigint AS updated_hot,
           coalesce(sum(n_tup_del), 0)::bigint AS deleted
    FROM pg_stat_user_tables
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """Running totals at one moment; seconds and bytes. None is what could not be read."""

    at: float
    wal: float
    statements: int | None
    python: float
    postgresql: float | None


class Meter:
    """Reads the totals of a database, of its server, and of Python: this process, those named by ``pids``, theirs."""

    def __init__(self, connection: asyncpg.Connection[Any], pids: Sequence[int] = ()) -> None:
        self._connection = connection
        self._postmaster: psutil.Process | None = None
        self._counts_statements = False
        named = [psutil.Process(pid) for pid in pids]
        children = [child for process in named for child in process.children(recursive=True)]
        self.processes = [psutil.Process(), *named, *children]

    async def prepare(self) -> Meter:
        """Find the server's processes, and whether it counts statements."""
        self._postmaster = _postmaster(int(await self._connection.fetchval("SELECT pg_backend_pid()")))
        try:
            await self._connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            await self._connection.fetchval(_STATEMENTS)
            self._counts_statements = True
        except asyncpg.PostgresError:
            self._counts_statements = False  # not installed, not loaded, or not ours to look at
        return self

    @property
    def counts(self) -> str:
        """What the counts of this server are."""
        return "pg_stat_statements" if self._counts_statements else "not counted: pg_stat_statements is not loaded"

    async def read(self) -> Reading:
        """The totals as of now."""
        wal = await self._connection.fetchval(_READ)
        statements = await self._connection.fetchval(_STATEMENTS) if self._counts_statements else None
        return Reading(
            at=time.perf_counter(),
            wal=wal,
            statements=statements,
            python=sum(_seconds(process) for process in self.processes),
            postgresql=None if self._postmaster is None else _tree_seconds(self._postmaster),
        )


def cost(before: Reading, after: Reading, items: int) -> dict[str, Any]:
    """What ``items`` cost between two readings."""
    statements = None if after.statements is None else after.statements - (before.statements or 0)
    server = None if after.postgresql is None else round(after.postgresql - (before.postgresql or 0.0), 3)
    return {
        "wal_bytes_per_item": per(after.wal - before.wal, items, places=1),
        "statements_per_item": per(statements, items, places=4),
        "cpu_seconds": {"python": round(after.python - before.python, 3), "postgresql": server},
    }


async def transactions(connection: asyncpg.Connection[Any]) -> int:
    """Transactions committed in this database so far. Complete only once those who ran them have disconnected."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return int(await connection.fetchval(_TRANSACTIONS))


async def row_versions(connection: asyncpg.Connection[Any]) -> dict[str, int]:
    """Dead tuples and how they came about, in all tables of the database.

    Complete only once those who wrote them have disconnected: until then backends report from time to time.
    """
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    row = await connection.fetchrow(_VERSIONS)
    return dict(row) if row is not None else {}


def vital_figures(pids: Sequence[int]) -> dict[str, Any]:
    """Memory of processes, in megabytes of 10^6 bytes: the largest."""
    sizes: list[int] = []
    for pid in pids:
        with suppress(psutil.Error):
            sizes.append(psutil.Process(pid).memory_info().rss)
    return {"largest_rss_megabytes": round(max(sizes) / 1e6, 1) if sizes else None}


def _postmaster(backend: int) -> psutil.Process | None:
    """The server's first process; None where it is on another machine, or hidden from us."""
    try:
        parent = psutil.Process(backend).parent()
        return parent if parent is not None and "postgres" in parent.name() else None
    except psutil.Error:
        return None


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def _tree_seconds(postmaster: psutil.Process) -> float:
    """The server's time, with that of backends which have ended."""
    total = 0.0
    with suppress(psutil.Error):
        times = postmaster.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        total += sum(_seconds(child) for child in postmaster.children())
    return total
