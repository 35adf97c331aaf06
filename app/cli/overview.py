"""The state of everything, read in one transaction, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.running import location
from app.core.config import Settings
from app.tds.core.dead_letter_service import DeadLetterService
from app.tds.core.jobs import list_jobs
from app.tds.core.pauses import EVERYTHING, list_pauses
from app.tds.core.queue import QueueHealth, TDSQueueService
from app.tds.core.service import EntityStats, TDSService, alive
from app.tds.models import TDSDeadLetterQueue, TDSInboxEvent, TDSJob, TDSPause, TDSSyncRun, TDSWorker
from app.tds.types import EventStatus

__all__ = ["Overview", "read_overview"]

_NEWEST: Final = 6
_LETTERS: Final = 5
_OPEN: Final = (EventStatus.PENDING, EventStatus.PROCESSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What was seen at ``now``, by the database's clock. ``received`` events have not been checked yet."""

    now: datetime
    where: str
    queue: QueueHealth
    entities: Sequence[EntityStats]
    received: int
    runs: Sequence[TDSSyncRun]
    letters: Sequence[TDSDeadLetterQueue]
    workers: Sequence[TDSWorker]
    pauses: Sequence[TDSPause]
    jobs: Sequence[TDSJob]
    missing: Sequence[str]

    @property
    def waiting(self) -> int:
        """What somebody has to work on."""
        open_runs = sum(run.status in _OPEN for run in self.runs)
        return self.received + self.queue["pending"] + self.queue["retry_ready"] + open_runs + len(self.jobs)

    @property
    def health(self) -> str:
        """``healthy``, ``degraded``, ``stalled`` or ``critical``."""
        if self.waiting and not self.workers:
            return "stalled"
        worst = self.queue["status"]
        return "degraded" if worst == "healthy" and self.failing else worst

    @property
    def failing(self) -> Sequence[TDSSyncRun]:
        """The newest run of an entity, where it failed."""
        newest: dict[tuple[str, str], TDSSyncRun] = {}
        for run in self.runs:
            newest.setdefault((run.source, run.entity_type), run)
        return [run for run in newest.values() if run.status is EventStatus.FAILED]

    def advice(self) -> list[str]:
        """What to do next, most urgent first; nothing where all is well."""
        told: list[str] = []
        if self.waiting and not self.workers:
            told.append("Work waits and no worker is running. Start one: tds worker")
        told += [
            f"Reading {run.entity_type} failed: {run.error_summary}. Once that is mended: "
            f"tds sync run {run.source} --entity {run.entity_type}"
            for run in self.failing
        ]
        told += [
            f"{_paused(one)} {'drained' if one.mode == 'drain' else 'paused'} by {one.created_by}. To go on: "
            f"tds resume {one.source}{'' if one.entity_type == EVERYTHING else f' {one.entity_type}'}"
            for one in self.pauses
        ]
        if stale := self.queue["stale_processing"]:
            told.append(f"{stale} items are held by workers that are gone; any worker takes them up within seconds.")
        if letters := self.queue["dead_letter"]:
            what = "1 change was given up and waits" if letters == 1 else f"{letters} changes were given up and wait"
            told.append(f"{what} for you: tds dead-letter list")
        if not self.runs and not self.entities:
            told.append(self._beginning())
        return told

    def _beginning(self) -> str:
        if self.missing:
            return f"Nothing has been synced yet. Connect Zoho by setting {', '.join(self.missing)}; or try: tds demo"
        return "Nothing has been synced yet. Read it all: tds sync run zoho --full --wait"

    def as_json(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "health": self.health,
            "version": version("tsh-data-sync"),
            "at": self.now,
            "database": self.where,
            "queue": {"received": self.received, **self.queue},
            "entities": self.entities,
            "runs": [_columns(run, _RUN) for run in self.runs],
            "dead_letters": [_columns(letter, _LETTER) for letter in self.letters],
            "workers": [_columns(worker, _WORKER) for worker in self.workers],
            "pauses": [_columns(pause, _PAUSE) for pause in self.pauses],
            "jobs": [_columns(job, _JOB) for job in self.jobs],
            "next": self.advice(),
        }


_RUN: Final = (
    *("id", "source", "entity_type", "mode", "status", "total_events", "processed_events", "successful_events"),
    *("failed_events", "skipped_events", "created_at", "started_at", "completed_at", "error_summary"),
)
_LETTER: Final = ("id", "entity_type", "source_entity_id", "error_code", "failure_reason", "fingerprint", "created_at")
_PAUSE: Final = ("source", "entity_type", "mode", "note", "created_by", "created_at")
_JOB: Final = ("id", "kind", "status", "total", "done", "succeeded", "failed", "requested_by", "created_at")
_WORKER: Final = ("id", "host", "pid", "version", "state", "processed", "failed", "started_at", "heartbeat_at")


def _paused(one: TDSPause) -> str:
    return f"All of {one.source} is" if one.entity_type == EVERYTHING else f"{one.source} {one.entity_type} is"


def _columns(row: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


async def read_overview(session: AsyncSession, settings: Settings) -> Overview:
    """Look at everything."""
    async with session.begin():
        received = select(func.count()).select_from(TDSInboxEvent).where(TDSInboxEvent.status == EventStatus.PENDING)
        runs = select(TDSSyncRun).order_by(TDSSyncRun.id.desc()).limit(_NEWEST)
        workers = select(TDSWorker).where(alive()).order_by(TDSWorker.id)
        return Overview(
            now=(await session.execute(select(func.now()))).scalar_one(),
            where=location(settings),
            queue=await TDSQueueService(session).check_queue_health(),
            entities=await TDSService(session).count_entities(),
            received=await session.scalar(received) or 0,
            runs=(await session.scalars(runs)).all(),
            letters=await DeadLetterService(session).find(limit=_LETTERS),
            workers=(await session.scalars(workers)).all(),
            pauses=await list_pauses(session),
            jobs=await list_jobs(session, open_only=True),
            missing=settings.zoho.missing,
        )
