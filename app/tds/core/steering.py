"""Steering by a person: runs cancelled and resumed, work paused and resumed; each with an audit row of who did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.errors import InvalidError
from app.tds.core import pauses, runs
from app.tds.core.audit import AuditEntry, record_action
from app.tds.core.errors import UnknownSourceError
from app.tds.core.ports import Source
from app.tds.core.runs import RunNotFoundError
from app.tds.models import TDSPause, TDSSyncRun
from app.tds.types import EntityType, EventStatus, OperationType, RunMode

__all__ = ["Steering"]


class Steering:
    """What a person does to runs and pauses, on the caller's session: in its transaction, or in one of its own.

    ``sources`` are those that there are: others can neither be read nor paused.
    """

    def __init__(self, db: AsyncSession, sources: Mapping[str, Source]) -> None:
        self.db = db
        self.sources = sources

    async def start_run(self, *, source: str, entity_type: str, mode: RunMode, actor: str) -> TDSSyncRun:
        """Ask the workers for a run.

        Raises:
            UnknownSourceError, InvalidError: there is no such source, or it is not read for this entity type.
            RunAlreadyOpenError: one is under way.
        """
        known = sorted(self._source(source).entity_types)
        if entity_type not in known:
            raise InvalidError(f"{source} is not read for {entity_type!r}; it is for: {', '.join(known)}")
        return await runs.request_run(self.db, source=source, entity_type=entity_type, mode=mode, started_by=actor)

    async def find_runs(
        self,
        *,
        source: str | None = None,
        entity_type: str | None = None,
        statuses: Sequence[EventStatus] = (),
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[TDSSyncRun]:
        """Runs, newest first; ``before`` is the last id of the page before."""
        query = select(TDSSyncRun)
        if source is not None:
            query = query.where(TDSSyncRun.source == source)
        if entity_type is not None:
            query = query.where(TDSSyncRun.entity_type == entity_type)
        if statuses:
            query = query.where(TDSSyncRun.status.in_(statuses))
        if before is not None:
            query = query.where(TDSSyncRun.id < before)
        async with join_or_begin(self.db):
            return list((await self.db.scalars(query.order_by(TDSSyncRun.id.desc()).limit(limit))).all())

    async def get_run(self, run_id: UUID | str) -> TDSSyncRun:
        """One run.

        Raises:
            RunNotFoundError: no such run.
        """
        async with join_or_begin(self.db):
            run = await self.db.get(TDSSyncRun, run_id, populate_existing=True)
        if run is None:
            raise RunNotFoundError
        return run

    async def cancel_run(self, run_id: UUID | str, *, actor: str) -> TDSSyncRun:
        """Stop reading, and cancel what is queued and not begun.

        Raises:
            RunNotFoundError, ConflictError: no such run, or it has ended.
        """
        async with join_or_begin(self.db):
            run = await runs.cancel_run(self.db, run_id, actor=actor)
            await self._audit("sync_run", str(run.id), {"cancel_requested": False}, {"cancel_requested": True}, actor)
        return run

    async def resume_run(self, run_id: UUID | str, *, actor: str) -> TDSSyncRun:
        """Let a failed or cancelled run go on where it stopped.

        Raises:
            RunNotFoundError, ConflictError: no such run, or it cannot be resumed.
        """
        async with join_or_begin(self.db):
            ended = await self.get_run(run_id)
            before = {"status": ended.status.value, "error_summary": ended.error_summary}
            run = await runs.resume_run(self.db, run_id)
            await self._audit("sync_run", str(run.id), before, {"status": run.status.value}, actor)
        return run

    async def pause(
        self, *, source: str, entity_type: str = pauses.EVERYTHING, mode: str, note: str | None, actor: str
    ) -> TDSPause:
        """Lay work aside at once (``pause``), or when what waits is worked off (``drain``).

        Raises:
            UnknownSourceError, InvalidError: there is no such source, or no such entity type.
        """
        self._source(source)
        if entity_type not in {*EntityType, pauses.EVERYTHING}:
            raise InvalidError(f"{entity_type!r} is no entity type; * is all of them")
        async with join_or_begin(self.db):
            paused = await pauses.pause(
                self.db, source=source, entity_type=entity_type, mode=mode, actor=actor, note=note
            )
            await self._audit("pause", f"{source}:{entity_type}", None, {"mode": mode, "note": note}, actor)
        return paused

    async def resume(self, *, source: str, entity_type: str = pauses.EVERYTHING, actor: str) -> int:
        """End a pause or a drain; returns how many items are awake already.

        Raises:
            NotPausedError: there is none.
        """
        async with join_or_begin(self.db):
            awake = await pauses.resume(self.db, source=source, entity_type=entity_type)
            await self._audit("pause", f"{source}:{entity_type}", {"paused": True}, {"paused": False}, actor)
        return awake

    def _source(self, name: str) -> Source:
        if name not in self.sources:
            raise UnknownSourceError(f"there is no source {name!r}; there is: {', '.join(self.sources)}")
        return self.sources[name]

    async def _audit(
        self, what: str, which: str, before: Mapping[str, Any] | None, after: Mapping[str, Any], actor: str
    ) -> None:
        entry = AuditEntry(
            entity_type=what,
            entity_id=which,
            source_entity_id=None,
            operation=OperationType.CREATE if before is None else OperationType.UPDATE,
            before=before,
            after=after,
            changed=sorted(after),
            change_source="manual",
            actor=actor,
        )
        await record_action(self.db, [entry])
