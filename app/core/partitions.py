"""Monthly partitions of the tables that are partitioned by UUIDv7.

A partition holds the ids made in one month (UTC), so its bounds are ids. They are made ahead; a default
partition takes what falls outside (a clock that is far off), so a missing partition never fails an insert.
Once such a month comes, its rows move from the default to the partition.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.ids import lower_bound
from app.core.telemetry import get_logger

__all__ = ["PARTITIONED", "ensure_partitions"]

_log = get_logger(__name__)

# Rows of these tables are written once and then moved on a few times: vacuum them early, by count and not by share.
_BUSY = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000"

PARTITIONED: dict[str, str] = {
    "event_log": "",
    "tds_audit_trail": "",
    "tds_inbox_events": _BUSY,
    "tds_sync_queue": f"fillfactor = 80, {_BUSY}",
}
"""Table -> storage parameters of its partitions."""

_KEYS: Final = {"event_log": "event_id"}
"""Table -> the column it is partitioned by, where that is not ``id``."""

_EXISTING = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
    "WHERE inhparent = to_regclass(:table)"
)
_PATIENCE: Final = text("SELECT set_config('lock_timeout', '5s', true)")
"""Whoever waits for a table's lock keeps all others waiting: better try again at the next call."""


def _first_of(moment: datetime, months: int) -> datetime:
    index = moment.year * 12 + moment.month - 1 + months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def _statements(table: str, existing: set[str], now: datetime, ahead: int) -> Iterable[tuple[str, ...]]:
    """For each partition that is missing, the statements that make it."""
    storage = f" WITH ({PARTITIONED[table]})" if PARTITIONED[table] else ""
    if (name := f"{table}_default") not in existing:
        yield (f"CREATE TABLE {name} PARTITION OF {table} DEFAULT{storage}",)
    for months in range(-1, ahead + 1):
        start, end = _first_of(now, months), _first_of(now, months + 1)
        if (name := f"{table}_{start:%Y_%m}") not in existing:
            yield tuple(_month(table, name, str(lower_bound(start)), str(lower_bound(end)), storage))


def _month(table: str, name: str, start: str, end: str, storage: str) -> Iterable[str]:
    """A month's partition, made beside the table and attached once it has taken its rows from the default."""
    default, key = f"{table}_default", _KEYS.get(table, "id")
    yield f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE"  # a row that came in between would fail the attachment
    yield f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL){storage}"
    yield (
        f"WITH moved AS (DELETE FROM {default} WHERE {key} >= '{start}' AND {key} < '{end}' RETURNING *) "  # noqa: S608 - our own names
        f"INSERT INTO {name} SELECT * FROM moved"
    )
    yield f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"


async def ensure_partitions(connection: AsyncConnection, now: datetime, *, ahead: int = 2) -> list[str]:
    """Make what is missing of last month's, this month's and the next ``ahead`` months' partitions.

    Returns the statements run. Runs in the caller's transaction, one caller at a time. An error leaves its partition
    out, is logged, and stops no other: the default takes the rows until the next call.
    """
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('tds.partitions'))"))
    await connection.execute(_PATIENCE)
    done: list[str] = []
    for table in PARTITIONED:
        existing = set((await connection.execute(_EXISTING, {"table": table})).scalars())
        for sqls in _statements(table, existing, now, ahead):
            if await _make(connection, table, sqls):
                done += sqls
    return done


async def _make(connection: AsyncConnection, table: str, sqls: tuple[str, ...]) -> bool:
    try:
        async with connection.begin_nested():
            for sql in sqls:
                await connection.execute(text(sql))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        _log.exception("partition_not_made", table=table)
        return False
    return True
