"""The job that every peer does: one item's row, its audit row and its event row, in one transaction.

The tables are TDS's own, so that rows and indexes are the same for all. It is one statement, hence one round trip and
one commit: nobody could do a single job with less. Runs in ``.venv-peers``, which has nothing of TDS.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import asyncpg
import orjson
from uuid_utils.compat import uuid7

__all__ = ["LEVEL", "PROCESSES", "URL", "Upserter", "announce", "bodies", "end_with_parent"]

URL = os.environ.get("BENCH_DATABASE_URL", "")
LEVEL = int(os.environ.get("BENCH_LEVEL", "10"))
"""Jobs at a time: the batch of a fetch, or how many run beside each other; each peer has its own word for it."""
PROCESSES = int(os.environ.get("BENCH_PROCESSES", "1"))
_POOL = 20
_FIELDS = ("name", "sku", "description", "unit", "status", "brand", "manufacturer", "rate", "stock_on_hand")
_UPSERT = """
    WITH product AS (
        INSERT INTO erp_products AS known
            (id, name, sku, description, unit, status, brand, manufacturer, price, stock_on_hand)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric, $10::text::numeric)
        ON CONFLICT (id) DO UPDATE
            SET name = excluded.name, sku = excluded.sku, description = excluded.description, unit = excluded.unit,
                status = excluded.status, brand = excluded.brand, manufacturer = excluded.manufacturer,
                price = excluded.price, stock_on_hand = excluded.stock_on_hand, updated_at = now()
        RETURNING CAST(id AS text) AS id, CASE WHEN xmax = 0 THEN 'create' ELSE 'update' END AS operation
    ), audit AS (
        INSERT INTO tds_audit_trail
            (id, entity_type, entity_id, source_entity_id, operation, after, changed_fields, change_source, actor)
        SELECT $11, 'product', id, $12, operation, $13::text::jsonb, $14, 'zoho', 'peer' FROM product
    )
    INSERT INTO event_log (event_id, event_type, module, occurred_at, aggregate_type, aggregate_id, data)
    SELECT $15, 'tds.entity.' || operation, 'tds', now(), 'product', id, $13::text::jsonb FROM product
"""


class Upserter:
    """Does jobs on a pool of connections of its own."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls) -> Upserter:
        """As many connections as may be at work, up to twenty."""
        size = min(LEVEL, _POOL)
        return cls(await asyncpg.create_pool(URL, min_size=size, max_size=size))

    async def apply(self, body: bytes | str) -> None:
        """One job: the body of a webhook becomes its three rows."""
        item = orjson.loads(body)["item"]
        values = [_text(item.get(name)) for name in _FIELDS]
        after = orjson.dumps(dict(zip(_FIELDS, values, strict=True))).decode()
        source_id = str(item["item_id"])
        row_id = uuid5(NAMESPACE_OID, source_id)
        await self._pool.execute(
            _UPSERT, row_id, *values, uuid7(), source_id, after, list(_FIELDS), uuid7()
        )  # fmt: skip

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()


def _text(value: object) -> str | None:
    return None if value in ("", None) else str(value)


def bodies() -> list[bytes]:
    """The webhook bodies to make jobs of: one a line."""
    return Path(os.environ["BENCH_BODIES"]).read_bytes().splitlines()


def announce() -> None:
    """Tell the benchmark that this process begins to work."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def end_with_parent() -> None:
    """End this process when standard input ends: then the benchmark is gone."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
