"""A bit of everything, so that what looks at it finds something."""

from __future__ import annotations

from datetime import UTC, datetime

from app.core.database import Database
from app.core.events import event_log
from app.core.events.event_bus import EventBus
from app.tds.types import EventStatus
from tests.support.events import make
from tests.support.pipeline import execute
from tests.support.views import add, alert, letter, metric, minutes_ago, processing, run, worker_row

__all__ = ["populate"]

_PAUSE = "INSERT INTO tds_pauses (source, entity_type, mode, created_by) VALUES ('zoho', 'customer', 'pause', 'ann')"


async def populate(database: Database) -> None:
    """Runs, alerts, letters, rates, a worker, an item in hand, a pause and events."""
    now = datetime.now(UTC)
    ended = {"status": EventStatus.COMPLETED, "started_at": minutes_ago(9), "completed_at": now}
    await add(
        database,
        *(run() for _ in range(3)),
        run(**ended, total_events=10, processed_events=10, successful_events=10),
        *(alert() for _ in range(3)),
        *(letter(source_entity_id=f"zoho-{number}") for number in range(5)),
        metric(minutes_ago(3), succeeded=9, dead=1),
        processing("zoho-9"),
        worker_row("w1"),
    )
    await execute(database, _PAUSE)
    async with database.transaction() as session:
        await event_log.record(session, [make(number=number) for number in range(5)], bus=EventBus())
