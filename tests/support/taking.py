"""Workers that take new events from the inbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.core.database import Database
from app.tds.core.outcomes import ClaimedItem, Done
from app.tds.core.ports import Source
from app.tds.workers.worker import SyncWorker
from tests.support.pipeline import FakeSource, FakeTarget, value, worker

__all__ = ["SOURCES", "begun", "ends", "somebody_waits"]

SOURCES: Final[Mapping[str, Source]] = {"zoho": FakeSource()}
_WAITING: Final = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


async def begun(database: Database, target: FakeTarget | None = None, **more: Any) -> SyncWorker:
    """A worker that has looked once and found nothing: whatever comes now is new to it."""
    busy = worker(database, target, sources=SOURCES, **more)
    assert (await busy.process_batch()).ends == ()
    return busy


def ends(report_ends: Sequence[tuple[ClaimedItem, Any]]) -> dict[str, str]:
    """Ends by source id: the outcome of what is done, or the name of another end."""
    return {
        item.source_entity_id: end.outcome.value if isinstance(end, Done) else type(end).__name__
        for item, end in report_ends
    }


async def somebody_waits(database: Database) -> bool:
    """Whether a transaction waits for another one's lock, in this database: other tests may share the server."""
    return bool(await value(database, _WAITING))
