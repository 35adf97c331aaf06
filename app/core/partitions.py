"""Monthly partitions of the tables that are partitioned by UUIDv7.

A partition holds the ids made in one month (UTC), so its bounds are ids. They are made ahead; a default
partition takes what falls outside (a clock that is far off), so a missing partition never fails an insert.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.ids import lower_bound

__all__ = ["PARTITIONED", "ensure_partitions"]

# Rows of these tables are written once and then moved on a few times: vacuum them early, by count and not by share.
_BUSY = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000"

PARTITIONED: dict[str, str] = {
    "event_log": "",
    "tds_audit_trail": "",
    "tds_inbox_events": _BUSY,
    "tds_sync_queue": f"fillfactor = 80, {_BUSY}",
}
"""Table -> storage parameters of its partitions."""

_EXISTING = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
    "WHERE inhparent = to_regclass(:table)"
)


def _first_of(moment: datetime, months: int) -> datetime:
    index = moment.year * 12 + moment.month - 1 + months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def _statements(table: str, existing: set[str], now: datetime, ahead: int) -> Iterable[str]:
    storage = f" WITH ({PARTITIONED[table]})" if PARTITIONED[table] else ""
    if (name := f"{table}_default") not in existing:
        yield f"CREATE TABLE {name} PARTITION OF {table} DEFAULT{storage}"
    for months in range(-1, ahead + 1):
        start, end = _first_of(now, months), _first_of(now, months + 1)
        if (name := f"{table}_{start:%Y_%m}") not in existing:
            bounds = f"FROM ('{lower_bound(start)}') TO ('{lower_bound(end)}')"
            yield f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES {bounds}{storage}"


async def ensure_partitions(connection: AsyncConnection, now: datetime, *, ahead: int = 2) -> list[str]:
    """Make what is missing of last month's, this month's and the next ``ahead`` months' partitions.

    Returns the statements run. Runs in the caller's transaction, one caller at a time.
    """
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tds.partitions'))"))
    done: list[str] = []
    for table in PARTITIONED:
        existing = set((await connection.execute(_EXISTING, {"table": table})).scalars())
        for sql in _statements(table, existing, now, ahead):
            await connection.execute(text(sql))
            done.append(sql)
    return done
