"""What TDS itself does when its events are announced: it tells the log what a person on call wants to find there."""

from __future__ import annotations

from app.core.events.event import DomainEvent
from app.core.events.event_bus import EventBus
from app.core.telemetry import get_logger

__all__ = ["register"]

_log = get_logger(__name__)


def log_run(event: DomainEvent) -> None:
    """A run began, ended or failed."""
    level = _log.error if event.event_type == "tds.sync.failed" else _log.info
    level(event.event_type.replace(".", "_"), **event.data)


def log_dead_letter(event: DomainEvent) -> None:
    """A change was given up, or a letter was dealt with."""
    level = _log.warning if event.event_type == "tds.deadletter.added" else _log.info
    level(event.event_type.replace(".", "_"), **event.data)


def register(bus: EventBus) -> None:
    """Subscribe; whoever calls this twice still gets each line once."""
    bus.unsubscribe(log_run)
    bus.unsubscribe(log_dead_letter)
    bus.subscribe("tds.sync.*")(log_run)
    bus.subscribe("tds.deadletter.*")(log_dead_letter)
