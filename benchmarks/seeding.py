"""History: finished rows of a year, put into all tables that keep any; and work that waits.

Ids are valid UUIDv7 of the time that the row tells, so each row lies in its month's partition. Of every thousand
changes a hundred became dead letters, since resolved, and ten began a run: far more than in life. Written with
synchronous_commit off: nobody measures this part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.partitions import ensure_partitions
from benchmarks.server import connected, opened

__all__ = ["ENTITIES", "ROWS_A_CHANGE", "make_months", "seed_history", "seed_ledger", "seed_waiting", "vacuum"]

ENTITIES: Final = 10_000
"""How many entities the history tells of."""
ROWS_A_CHANGE: Final = 4
"""Rows of one change: inbox, queue, audit trail, event log."""
_MONTHS: Final = 12
_DAYS: Final = 365
_CHUNK: Final = 500_000
_ID: Final = (
    "CAST(lpad(to_hex({ms}), 12, '0') || '7' || substr(h, 1, 3) || 'a' || substr(h, 4, 15) AS uuid) AS id, "
    "to_timestamp({ms} / 1000.0) AS at"
)
_NUMBERS: Final = """
    WITH number AS MATERIALIZED (
        SELECT i, md5($5 || i) AS h, CAST($3 AS bigint) + CAST(floor((i - $1) * CAST($4 AS float8)) AS bigint) AS ms
        FROM generate_series(CAST($1 AS bigint), CAST($2 AS bigint) - 1) AS i
    ), seeded AS (
        SELECT i, {identity}, 'H' || i % {entities} AS entity, h FROM number
    )
"""
_TABLES: Final = {
    "tds_inbox_events": (
        1,
        """
        INSERT INTO tds_inbox_events (id, source, entity_type, source_entity_id, operation, body, content_hash,
                                      signature, status, arrival, created_at, completed_at)
        SELECT id, 'zoho', 'product', entity, 'upsert',
               convert_to('{"item":{"item_id":"' || entity || '","name":"قديم ' || i || '"}}', 'UTF8'),
               decode(h || h, 'hex'), 'valid', 'completed', i, at, at + interval '1 second'
        FROM seeded
        """,
    ),
    "tds_sync_queue": (
        1,
        """
        INSERT INTO tds_sync_queue (id, source, entity_type, source_entity_id, operation_type, validated_payload,
                                    version_time, arrival, received_at, status, lease_token, outcome,
                                    target_entity_id, created_at, completed_at)
        SELECT id, 'zoho', 'product', entity, 'upsert', jsonb_build_object('name', 'قديم ' || i), at, i, at,
               'completed', 1, 'updated', entity, at, at + interval '1 second'
        FROM seeded
        """,
    ),
    "tds_audit_trail": (
        1,
        """
        INSERT INTO tds_audit_trail (id, entity_type, entity_id, source_entity_id, operation, before, after,
                                     changed_fields, change_source, actor, created_at)
        SELECT id, 'product', entity, entity, 'update', jsonb_build_object('name', 'قديم ' || i - 1),
               jsonb_build_object('name', 'قديم ' || i), ARRAY['name'], 'zoho', 'seed', at
        FROM seeded
        """,
    ),
    "event_log": (
        1,
        """
        INSERT INTO event_log (event_id, event_type, module, occurred_at, aggregate_type, aggregate_id, data)
        SELECT id, 'tds.entity.update', 'tds', at, 'product', entity,
               jsonb_build_object('entity_type', 'product', 'entity_id', entity, 'operation', 'update')
        FROM seeded
        """,
    ),
    "tds_dead_letter_queue": (
        10,
        """
        INSERT INTO tds_dead_letter_queue (id, source, entity_type, source_entity_id, operation_type, failure_reason,
                                           error_code, fingerprint, total_attempts, original_payload, last_payload,
                                           resolved, resolved_at, resolved_by, resolution, created_at)
        SELECT id, 'zoho', 'product', entity, 'upsert', 'name: Field required', 'invalid_document', 'seed' || i % 50, 3,
               '{}', '{}', true, at + interval '1 hour', 'seed', 'superseded', at
        FROM seeded
        """,
    ),
    "tds_sync_runs": (
        100,
        """
        INSERT INTO tds_sync_runs (id, run_type, source, entity_type, mode, managed, status, total_events,
                                   processed_events, successful_events, scan_completed, created_at, started_at,
                                   completed_at)
        SELECT id, 'zoho', 'zoho', 'product', 'incremental', true, 'completed', 100, 100, 100, true, at, at,
               at + interval '330 seconds'
        FROM seeded
        """,
    ),
    "tds_metrics": (
        20,
        """
        INSERT INTO tds_metrics (minute, worker_id, entity_type, processed, succeeded, latency_sum_ms, latency_max_ms,
                                 latency_counts)
        SELECT date_trunc('minute', at), 'seed-' || i % 4, 'product', 20, 20, 200, 30,
               array_fill(0, ARRAY[3]) || 20 || array_fill(0, ARRAY[10])
        FROM seeded
        ON CONFLICT DO NOTHING
        """,
    ),
    "tds_metric_hours": (
        1_000,
        """
        INSERT INTO tds_metric_hours (hour, entity_type, processed, succeeded, failed, retried, dead, created, deleted,
                                      latency_sum_ms, latency_max_ms, latency_counts)
        SELECT date_trunc('hour', at), 'product', 1200, 1200, 0, 0, 0, 10, 0, 12000, 30,
               array_fill(0, ARRAY[3]) || 1200 || array_fill(0, ARRAY[10])
        FROM seeded
        ON CONFLICT DO NOTHING
        """,
    ),
}
"""Table -> one row for so many changes, and how rows are made of ``seeded`` (i, id, at, entity, h)."""

_LEDGER: Final = """
    INSERT INTO tds_entities (source, entity_type, source_entity_id, local_id, version_time, version_arrival,
                              content_hash, last_applied_at)
    SELECT 'zoho', 'product', 'H' || i, 'H' || i, now() - interval '1 day', i, decode(md5('' || i), 'hex'),
           now() - interval '1 day'
    FROM generate_series(0, $1 - 1) AS i
"""
_WAITING: Final = """
    INSERT INTO tds_sync_queue (id, source, entity_type, source_entity_id, operation_type, validated_payload,
                                version_time, arrival, received_at, created_at)
    SELECT id, 'zoho', 'product', 'W' || i, 'upsert', jsonb_build_object('name', 'ينتظر ' || i), at, i, at, at
    FROM seeded
"""


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


async def make_months(url: str) -> None:
    """Partitions for the year that is behind us."""
    async with opened(url) as database, database.engine.begin() as connection:
        await _make_months(connection, datetime.now(UTC))


async def _make_months(connection: AsyncConnection, now: datetime) -> None:
    for back in range(_MONTHS + 1):
        await ensure_partitions(connection, now - timedelta(days=30 * back), ahead=0)


async def seed_history(url: str, *, first: int, total: int, tell: Callable[[str], None]) -> None:
    """Changes ``first`` up to ``first + total``, spread over the year, in every table of history."""
    ends = _now_ms() - 3_600_000
    begins = ends - _DAYS * 86_400_000
    waiting = list(_TABLES)

    async def seed() -> None:
        async with connected(url) as connection:
            await _prepare(connection)
            while waiting:
                table = waiting.pop(0)
                every, rows = _TABLES[table]
                await _fill(connection, rows, _Span(first // every, total // every, begins, ends), table)
                tell(f"seeded {total // every:,} rows into {table}")

    await asyncio.gather(seed(), seed())


async def _prepare(connection: asyncpg.Connection[Any]) -> None:
    await connection.execute("SET synchronous_commit = off")
    await connection.execute("SET work_mem = '256MB'")
    await connection.execute("SET jit = off")


class _Span(NamedTuple):
    """Rows ``first`` up to ``first + total``, and between which times (ms since 1970) they are spread evenly."""

    first: int
    total: int
    begins: int
    ends: int


async def _fill(connection: asyncpg.Connection[Any], rows: str, span: _Span, tag: str) -> None:
    """Write them, in pieces, so that Ctrl-C is heard."""
    if span.total <= 0:
        return
    step = (span.ends - span.begins) / span.total
    sql = _NUMBERS.format(identity=_ID.format(ms="ms"), entities=ENTITIES) + rows
    last = span.first + span.total
    for start in range(span.first, last, _CHUNK):
        stop = min(start + _CHUNK, last)
        origin = span.begins + int((start - span.first) * step)
        await connection.execute(sql, start, stop, origin, step, f"{tag}:", timeout=None)


async def seed_ledger(url: str) -> None:
    """The ledger's rows of the entities that the history tells of."""
    async with connected(url) as connection:
        await connection.execute(_LEDGER, ENTITIES)


async def seed_waiting(url: str, total: int) -> None:
    """Changes that wait for a worker, each of an entity of its own, come in over the last half hour."""
    ends = _now_ms()
    async with connected(url) as connection:
        await _prepare(connection)
        await _fill(connection, _WAITING, _Span(0, total, ends - 1_800_000, ends), "waiting")


async def vacuum(url: str) -> None:
    """Leave the tables as autovacuum would after a while, and the log flushed."""
    async with connected(url) as connection:
        await connection.execute("VACUUM (ANALYZE)", timeout=None)
        await connection.execute("CHECKPOINT", timeout=None)
