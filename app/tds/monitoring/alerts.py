"""Alerts as people see them: find, look at, acknowledge, resolve."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import join_or_begin
from app.core.errors import ConflictError, InvalidError, NotFoundError
from app.core.events import event_log
from app.tds.core.audit import MANUAL, AuditEntry, record_action
from app.tds.core.errors import storable
from app.tds.models import TDSAlert
from app.tds.monitoring.evaluation import resolved_event
from app.tds.types import OperationType

__all__ = ["SEVERITIES", "AlertEndedError", "AlertNotFoundError", "AlertService"]

SEVERITIES: Final = ("info", "warning", "error", "critical")
_LONGEST_NOTE: Final = 2_000
_MOST: Final = 500


class AlertNotFoundError(NotFoundError):
    """There is no alert of that id."""


class AlertEndedError(ConflictError):
    """This alert has been resolved: there is nothing left to acknowledge."""


class AlertService:
    """Alerts on the caller's session: in a transaction of the caller's it joins, else it commits."""

    def __init__(self, db: AsyncSession) -> None:
        self.db = db

    async def find(
        self,
        *,
        active: bool | None = True,
        severity: str | None = None,
        rule: str | None = None,
        acknowledged: bool | None = None,
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[TDSAlert]:
        """Alerts, newest first; active ones unless asked otherwise (None: all).

        ``before`` is the last id of the page before.

        Raises:
            InvalidError: an unknown severity, or a limit out of range.
        """
        if severity is not None and severity not in SEVERITIES:
            raise InvalidError(f"severity {severity!r} is not one of {', '.join(SEVERITIES)}")
        if not 1 <= limit <= _MOST:
            raise InvalidError(f"limit must be between 1 and {_MOST}")
        given = {"is_active": active, "severity": severity, "rule": rule, "acknowledged": acknowledged}
        query = select(TDSAlert).where(
            *(getattr(TDSAlert, name) == value for name, value in given.items() if value is not None)
        )
        if before is not None:
            query = query.where(TDSAlert.id < before)
        async with join_or_begin(self.db):
            return list((await self.db.execute(query.order_by(TDSAlert.id.desc()).limit(limit))).scalars())

    async def count_active(self) -> dict[str, int]:
        """How many are active, by severity; those with none are left out."""
        query = select(TDSAlert.severity, func.count()).where(TDSAlert.is_active).group_by(TDSAlert.severity)
        async with join_or_begin(self.db):
            return {row.severity: row[1] for row in await self.db.execute(query)}

    async def get(self, alert_id: UUID | str) -> TDSAlert:
        """One alert.

        Raises:
            AlertNotFoundError: no such alert.
        """
        async with join_or_begin(self.db):
            return await self._one(select(TDSAlert).where(TDSAlert.id == _uuid(alert_id)))

    async def acknowledge(self, alert_id: UUID | str, note: str | None, actor: str) -> TDSAlert:
        """Somebody has seen it and takes care of it. Doing so again changes nothing: the first one counts.

        Raises:
            AlertNotFoundError: no such alert.
            AlertEndedError: it is resolved.
            InvalidError: the note cannot be kept.
        """
        kept = _note(note)
        async with join_or_begin(self.db):
            alert = await self._locked(alert_id)
            if not alert.is_active:
                raise AlertEndedError
            if not alert.acknowledged:
                alert.acknowledged, alert.acknowledged_at = True, await self._now()
                alert.acknowledged_by, alert.acknowledgement_note = actor, kept
                await self._record(alert, actor, {"acknowledged": True, "note": kept})
        return alert

    async def resolve(self, alert_id: UUID | str, note: str | None, actor: str) -> TDSAlert:
        """Somebody declares it over. While what it tells of lasts, it does not fire again: only once that has ended
        and come back. Resolving a resolved one changes nothing.

        Raises:
            AlertNotFoundError: no such alert.
            InvalidError: the note cannot be kept.
        """
        kept = _note(note)
        async with join_or_begin(self.db):
            alert = await self._locked(alert_id)
            if alert.is_active:
                alert.is_active, alert.resolved_at, alert.muted = False, await self._now(), True
                alert.resolved_by, alert.resolution_note, alert.calm_rounds = actor, kept, 0
                await self._record(alert, actor, {"is_active": False, "note": kept})
                await event_log.record(self.db, [resolved_event(alert)])
        return alert

    async def _locked(self, alert_id: UUID | str) -> TDSAlert:
        return await self._one(select(TDSAlert).where(TDSAlert.id == _uuid(alert_id)).with_for_update())

    async def _one(self, query: Select[TDSAlert]) -> TDSAlert:
        alert = (await self.db.execute(query)).scalar_one_or_none()
        if alert is None:
            raise AlertNotFoundError
        return alert

    async def _now(self) -> Any:
        return await self.db.scalar(select(func.now()))

    async def _record(self, alert: TDSAlert, actor: str, after: dict[str, Any]) -> None:
        await self.db.flush()
        entry = AuditEntry(
            entity_type="alert",
            entity_id=str(alert.id),
            source_entity_id=None,
            operation=OperationType.UPDATE,
            before=None,
            after={"rule": alert.rule, "subject": alert.subject, **after},
            changed=sorted(after),
            change_source=MANUAL,
            actor=actor,
        )
        await record_action(self.db, [entry])


def _uuid(value: UUID | str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError) as error:
        raise AlertNotFoundError from error


def _note(note: str | None) -> str | None:
    trimmed = (note or "").strip()
    if len(trimmed) > _LONGEST_NOTE or storable(trimmed) != trimmed:
        raise InvalidError(f"a note holds at most {_LONGEST_NOTE} characters, none of them NUL or half a character")
    return trimmed or None
