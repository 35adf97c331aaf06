"""The dashboard and the entity types, put together from what is sampled and rolled up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from app.bff.front import database_now
from app.bff.health import Signs, health_word
from app.bff.views.alerts import SEVERITIES, AlertEntry
from app.bff.views.dashboard import DashboardView, HealthView, QueueView
from app.bff.views.entities import EntityStatusEntry
from app.bff.views.runs import RunEntry
from app.bff.words import percentage
from app.tds.core.steering import Steering
from app.tds.monitoring.alerts import AlertService
from app.tds.monitoring.reads import (
    Depths,
    EntityFigures,
    Rates,
    Sums,
    read_depths,
    read_entities,
    read_rates,
    read_sums,
    read_today,
    read_workers,
)
from app.tds.types import EntityType

__all__ = ["read_dashboard", "read_entity_status"]

_RECENT: Final = 5
_RATE_MINUTES: Final = 5
_HOUR: Final = timedelta(hours=1)
_ORDER: Final = {kind.value: place for place, kind in enumerate(EntityType)}


async def read_dashboard(session: AsyncSession, zone: tzinfo) -> DashboardView:
    """The whole in one call; "today" begins at midnight in ``zone``."""
    now = await database_now(session)
    depths = await read_depths(session)
    today = await read_today(session, zone, now=now)
    alerts = AlertService(session)
    return DashboardView(
        health=await _health(session, depths, await alerts.count_active(), now),
        queue=QueueView(
            pending=depths.pending,
            processing=depths.processing,
            completed_today=today.completed,
            failed_today=today.failed,
            retry_ready=depths.retry_ready,
            dead_letter=depths.dead_letter,
        ),
        recent_runs=[RunEntry.of(one, now) for one in await Steering(session, {}).find_runs(limit=_RECENT)],
        alerts=[AlertEntry.model_validate(one) for one in await alerts.find(limit=_RECENT)],
    )


async def _health(session: AsyncSession, depths: Depths, alerts: Mapping[str, int], now: datetime) -> HealthView:
    pace = await read_rates(session, _RATE_MINUTES, now=now)
    hour = sum((await read_sums(session, since=now - _HOUR, until=now)).values(), Sums())
    workers = sum(one.alive for one in await read_workers(session))
    error_rate = percentage(hour.failed, hour.processed, of_nothing=0.0)
    return HealthView(
        status=health_word(_signs(depths, pace, error_rate, workers, alerts)),
        queue_depth=depths.pending,
        processing_rate=round(pace.per_minute, 1),
        error_rate=error_rate,
        active_workers=workers,
        active_alerts=sum(alerts.values()),
    )


def _signs(depths: Depths, pace: Rates, error_rate: float, workers: int, alerts: Mapping[str, int]) -> Signs:
    active = [severity for severity in SEVERITIES if alerts.get(severity)]
    return Signs(
        pending=depths.pending,
        retry_ready=depths.retry_ready,
        oldest_pending_seconds=depths.oldest_pending_seconds,
        stale_processing=depths.stale,
        active_workers=workers,
        processed=pace.total.processed,
        error_rate=error_rate,
        worst_alert=active[-1] if active else None,
    )


async def read_entity_status(session: AsyncSession) -> list[EntityStatusEntry]:
    """How each entity type is doing, in the order of `EntityType`."""
    figures = await read_entities(session)
    return [_status(one) for one in sorted(figures, key=lambda one: (_ORDER.get(one.entity_type, 99), one.entity_type))]


def _status(figures: EntityFigures) -> EntityStatusEntry:
    day = figures.last_24h
    return EntityStatusEntry(
        entity_type=figures.entity_type,
        last_sync=figures.last_sync,
        total_synced=figures.total_synced,
        pending=figures.pending,
        failed_last_24h=figures.failed_last_24h,
        success_rate=percentage(day.succeeded, day.processed, of_nothing=100.0),
    )
