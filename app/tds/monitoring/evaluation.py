"""One evaluation: read, judge, and bring the alerts' rows up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import as_utc
from app.core.config import AlertSettings
from app.core.epochs import VIEWS, raise_epoch
from app.core.events import event_log
from app.core.ids import lower_bound, new_id
from app.tds.core.events import TDSAlertResolvedEvent, TDSAlertTriggeredEvent, TDSEvent
from app.tds.models import TDSAlert
from app.tds.monitoring.decisions import State, decide
from app.tds.monitoring.depths import read_depths
from app.tds.monitoring.figures import Depths
from app.tds.monitoring.rates import read_sums
from app.tds.monitoring.rules import Finding, Reading
from app.tds.monitoring.workers import read_processes
from app.tds.sql import statement

__all__ = ["read", "resolved_event", "write"]

_Key: TypeAlias = tuple[str, str]

_COUNTED: Final = 10_001
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


async def read(session: AsyncSession, settings: AlertSettings, *, steady: bool) -> Reading:
    """What the rules need: a few lookups, whose cost no history changes."""
    now = as_utc((await session.execute(select(func.now()))).scalar_one())
    window = timedelta(minutes=settings.failure_minutes)
    depths = await read_depths(session)
    parameters = {
        "stale_after": timedelta(seconds=settings.stale_seconds),
        "letters_from": lower_bound(now - _HOUR),
        "limit": max(_COUNTED, settings.dead_letters + 1),
    }
    troubles = (await session.execute(statement("read_troubles"), parameters)).one()
    return Reading(
        window=await read_sums(session, since=now - window, until=now + _MINUTE),
        waiting=depths.pending + depths.inbox,
        work_waits=_work_waits(depths),
        stale_items=troubles.stale_items,
        oldest_item_seconds=troubles.oldest_item_seconds,
        run_id=troubles.run_id,
        run_type=troubles.run_type,
        run_seconds=troubles.run_seconds or 0.0,
        new_letters=troubles.new_letters,
        processes=await read_processes(session),
        steady=steady,
    )


def _work_waits(depths: Depths) -> bool:
    return bool(depths.pending or depths.retry_ready or depths.inbox or depths.processing)


async def write(session: AsyncSession, findings: Sequence[Finding], *, rounds: int) -> list[TDSEvent]:
    """Fire, update and resolve alerts inside the caller's transaction, with their events; returns those events."""
    now = as_utc((await session.execute(select(func.now()))).scalar_one())
    known = await _known(session)
    found = {(one.rule.value, one.subject): one for one in findings}
    events: list[TDSEvent] = []
    for key in sorted({*known, *found}):
        events += _apply(session, found.get(key), known.get(key), rounds=rounds, now=now)
    await event_log.record(session, events)
    return events


async def _known(session: AsyncSession) -> Mapping[_Key, TDSAlert]:
    """The alerts that are active or muted, under lock: a person may be acknowledging one this moment."""
    ids = union_all(select(TDSAlert.id).where(TDSAlert.is_active), select(TDSAlert.id).where(TDSAlert.muted))
    query = select(TDSAlert).where(TDSAlert.id.in_(ids)).order_by(TDSAlert.id).with_for_update()
    rows: Iterable[TDSAlert] = (await session.execute(query)).scalars()
    return {(one.rule, one.subject): one for one in rows if one.is_active or one.muted}


def _apply(
    session: AsyncSession, finding: Finding | None, alert: TDSAlert | None, *, rounds: int, now: datetime
) -> list[TDSEvent]:
    state = State(alert.calm_rounds) if alert is not None else None
    decision = decide(finding, state, rounds=rounds)
    if alert is None:
        return [_fire(session, finding, now)] if decision.action == "fire" and finding is not None else []
    if decision.action == "end":
        return _end(session, alert, finding, now)
    alert.calm_rounds = decision.state.calm_rounds if decision.state else 0
    if finding is not None and alert.is_active:
        _update(session, alert, finding, now)
    return []


def _fire(session: AsyncSession, finding: Finding, now: datetime) -> TDSEvent:
    alert = TDSAlert(
        id=new_id(),
        rule=finding.rule.value,
        subject=finding.subject,
        severity=finding.severity,
        title=finding.title,
        message=finding.message,
        value=finding.value,
        threshold=finding.threshold,
        triggered_at=now,
        updated_at=now,
        run_id=finding.run_id,
    )
    session.add(alert)
    raise_epoch(session, VIEWS)
    return TDSAlertTriggeredEvent(
        alert_id=str(alert.id),
        rule=alert.rule,
        subject=alert.subject,
        severity=alert.severity,
        title=alert.title,
        message=alert.message,
        value=alert.value,
        threshold=alert.threshold,
    )


def _update(session: AsyncSession, alert: TDSAlert, finding: Finding, now: datetime) -> None:
    """Quietly: nobody is told twice. A graver severity shows at once all the same."""
    if finding.breached and alert.severity != finding.severity:
        alert.severity, alert.message = finding.severity, finding.message
        raise_epoch(session, VIEWS)
    if alert.value != finding.value:
        alert.value, alert.updated_at = finding.value, now


def _end(session: AsyncSession, alert: TDSAlert, finding: Finding | None, now: datetime) -> list[TDSEvent]:
    """Resolve it; one that a person has resolved already may fire again from here on."""
    alert.calm_rounds = 0
    if alert.muted:
        alert.muted = False
        return []
    alert.is_active, alert.resolved_at, alert.updated_at = False, now, now
    if finding is not None:
        alert.value = finding.value
    raise_epoch(session, VIEWS)
    return [resolved_event(alert)]


def resolved_event(alert: TDSAlert) -> TDSAlertResolvedEvent:
    """What is announced of an alert that is over."""
    return TDSAlertResolvedEvent(
        alert_id=str(alert.id),
        rule=alert.rule,
        subject=alert.subject,
        severity=alert.severity,
        title=alert.title,
        resolved_by=alert.resolved_by,
    )
