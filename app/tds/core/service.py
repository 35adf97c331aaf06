"""TDSService: runs, recorded syncs and statistics, for whoever orchestrates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.errors import InvalidError
from app.core.events import event_log
from app.tds.core import runs
from app.tds.core.audit import AuditEntry, record_audit
from app.tds.core.events import TDSEntitySyncedEvent
from app.tds.core.queue import QueueHealth, TDSQueueService
from app.tds.models import TDSEntity, TDSSyncRun, TDSWorker
from app.tds.types import EventStatus, OperationType, RunMode, SourceType

__all__ = ["EntityStats", "SyncStats", "TDSService"]


class EntityStats(TypedDict):
    """One entity type: how many are in step, how many are deleted, when the last change was applied."""

    entity_type: str
    synced: int
    deleted: int
    last_sync: datetime | None


class SyncStats(TypedDict):
    """The state of the whole, in one call."""

    queue: QueueHealth
    entities: list[EntityStats]
    runs: dict[str, int]
    active_workers: int


class TDSService:
    """Orchestration on the caller's session: in a transaction of the caller's it joins, else it commits."""

    def __init__(self, db: AsyncSession) -> None:
        self.db = db

    async def create_sync_run(
        self,
        *,
        run_type: SourceType,
        entity_type: str,
        configuration: Mapping[str, Any] | None = None,
        source: str | None = None,
    ) -> TDSSyncRun:
        """Open a run that the caller carries out and completes; announces ``tds.sync.started``."""
        return await runs.open_run(
            self.db,
            run_type=SourceType(run_type),
            source=source or SourceType(run_type).value,
            entity_type=str(entity_type),
            configuration=dict(configuration or {}),
        )

    async def request_sync_run(
        self, *, source: str, entity_type: str, mode: RunMode = RunMode.INCREMENTAL, started_by: str | None = None
    ) -> TDSSyncRun:
        """Ask the workers for a run: they read the source and carry it out."""
        return await runs.request_run(
            self.db, source=source, entity_type=str(entity_type), mode=mode, started_by=started_by
        )

    async def complete_sync_run(
        self, sync_run_id: UUID | str, *, total_processed: int, successful: int, failed: int
    ) -> TDSSyncRun:
        """Complete a run with its final counts; announces ``tds.sync.completed``.

        Raises:
            RunNotFoundError: no such run.
            InvalidError: the counts do not add up.
            ConflictError: it has ended already.
        """
        if min(total_processed, successful, failed) < 0 or successful + failed > total_processed:
            raise InvalidError("successful + failed must not be more than total_processed, and none below 0")
        return await runs.complete_run(
            self.db, sync_run_id, total_processed=total_processed, successful=successful, failed=failed
        )

    async def fail_sync_run(self, sync_run_id: UUID | str, *, error: str) -> TDSSyncRun:
        """End a run that cannot go on; announces ``tds.sync.failed``."""
        return await runs.fail_run(self.db, sync_run_id, error=error)

    async def record_entity_sync(
        self,
        *,
        entity_type: str,
        entity_id: str,
        source_entity_id: str,
        operation: OperationType,
        changes: Mapping[str, Any] | None = None,
        source: str = "zoho",
        actor: str = "tds",
    ) -> TDSEntitySyncedEvent:
        """Record that an entity was synced by other means: one audit row and one event, in one transaction."""
        changes = dict(changes or {})
        entry = AuditEntry(
            entity_type=str(entity_type),
            entity_id=entity_id,
            source_entity_id=source_entity_id,
            operation=OperationType(operation),
            before=None,
            after=changes,
            changed=sorted(changes),
            change_source=source,
            actor=actor,
        )
        event = TDSEntitySyncedEvent(
            entity_type=str(entity_type),
            entity_id=entity_id,
            source_entity_id=source_entity_id,
            operation=OperationType(operation),
            changes=changes,
        )
        async with join_or_begin(self.db):
            await record_audit(self.db, [entry])
            await event_log.record(self.db, [event])
        return event

    async def get_sync_stats(self) -> SyncStats:
        """Queue, entities, runs and workers, for a dashboard or a shell."""
        async with join_or_begin(self.db):
            queue = await TDSQueueService(self.db).check_queue_health()
            entities = await self.count_entities()
            statuses = await self.db.execute(
                select(TDSSyncRun.status, func.count()).group_by(TDSSyncRun.status).order_by(TDSSyncRun.status)
            )
            workers = await self.db.scalar(select(func.count()).select_from(TDSWorker).where(alive()))
            run_counts = {EventStatus(status).value: count for status, count in statuses}
        return SyncStats(queue=queue, entities=entities, runs=run_counts, active_workers=workers or 0)

    async def count_entities(self) -> list[EntityStats]:
        """The ledger, by entity type."""
        rows = await self.db.execute(
            select(
                TDSEntity.entity_type,
                func.count(case((TDSEntity.local_id.is_not(None) & ~TDSEntity.deleted, 1))),
                func.count(case((TDSEntity.deleted, 1))),
                func.max(TDSEntity.last_applied_at),
            )
            .group_by(TDSEntity.entity_type)
            .order_by(TDSEntity.entity_type)
        )
        return [
            EntityStats(entity_type=entity_type, synced=synced, deleted=deleted, last_sync=last)
            for entity_type, synced, deleted, last in rows
        ]


def alive() -> Any:
    """Condition: the worker's heart beat within the last half minute."""
    return (TDSWorker.state != "stopped") & (
        TDSWorker.heartbeat_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 30)
    )
