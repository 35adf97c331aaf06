"""P10: cost stays flat. What a round leaves behind is in proportion to its work, and nothing stays unfinished."""

from __future__ import annotations

from typing import Final

from tests.faults.promises.evidence import Evidence, Violation

__all__ = ["DEAD_TUPLES_EACH", "check_cost"]

DEAD_TUPLES_EACH: Final = {"tds_sync_queue": 4, "tds_inbox_events": 4, "tds_entities": 4}
"""Dead row versions that an item may leave, at most: claimed, finished, and given back or rescued once or twice."""
_SLACK: Final = 500
_STATISTICS: Final = """
    SELECT COALESCE(parent.relname, child.relname) AS name, sum(found.n_dead_tup) AS dead
    FROM pg_stat_all_tables AS found
    JOIN pg_class AS child ON child.oid = found.relid
    LEFT JOIN pg_inherits AS link ON link.inhrelid = child.oid
    LEFT JOIN pg_class AS parent ON parent.oid = link.inhparent
    WHERE COALESCE(parent.relname, child.relname) = ANY ($1)
    GROUP BY 1
"""
_UNFINISHED: Final = """
    SELECT 'tds_sync_queue' AS name, status, count(*) AS number FROM tds_sync_queue
    WHERE status IN ('pending', 'processing', 'retry') GROUP BY status
    UNION ALL
    SELECT 'tds_inbox_events', status, count(*) FROM tds_inbox_events
    WHERE status IN ('pending', 'queued') GROUP BY status
"""


async def check_cost(evidence: Evidence) -> list[Violation]:
    """Dead row versions are bounded by the items worked on, and no row is left in a state that workers look for."""
    told = [
        Violation("P10", f"{row['number']} rows of {row['name']} are still {row['status']}")
        for row in await evidence.connection.fetch(_UNFINISHED)
    ]
    history, items = evidence.history, await evidence.connection.fetchval("SELECT count(*) FROM tds_inbox_events")
    for row in await evidence.connection.fetch(_STATISTICS, list(DEAD_TUPLES_EACH)):
        name, dead = row["name"], int(row["dead"])
        bound = history.dead_tuples.get(name, 0) + DEAD_TUPLES_EACH[name] * (items - history.items) + _SLACK
        if dead > bound:
            told.append(Violation("P10", f"{name} has {dead} dead row versions, more than {bound}"))
        history.dead_tuples[name] = dead
    history.items = items
    return told
