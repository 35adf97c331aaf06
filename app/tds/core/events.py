"""The domain events of data sync; `docs/events.md` lists them with their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.events.event import DomainEvent
from app.tds.types import OperationType

__all__ = [
    "TDSAlertResolvedEvent",
    "TDSAlertTriggeredEvent",
    "TDSDeadLetterEvent",
    "TDSDeadLetterResolvedEvent",
    "TDSEntityFailedEvent",
    "TDSEntitySyncedEvent",
    "TDSEvent",
    "TDSSyncCompletedEvent",
    "TDSSyncFailedEvent",
    "TDSSyncStartedEvent",
]


class TDSEvent(DomainEvent):
    """Something that happened in data sync."""

    __slots__ = ()

    def __init__(
        self,
        event_type: str,
        data: dict[str, Any],
        *,
        aggregate: tuple[str, str | None],
        correlation_id: str | None = None,
    ) -> None:
        DomainEvent.__init__(
            self,
            event_type=event_type,
            module="tds",
            data=data,
            aggregate_type=aggregate[0],
            aggregate_id=aggregate[1],
            correlation_id=correlation_id,
        )


class TDSSyncStartedEvent(TDSEvent):
    """A run has begun."""

    __slots__ = ()

    def __init__(self, *, sync_run_id: str, entity_type: str, source_type: str, batch_size: int) -> None:
        data = {
            "sync_run_id": sync_run_id,
            "entity_type": entity_type,
            "source_type": source_type,
            "batch_size": batch_size,
        }
        super().__init__("tds.sync.started", data, aggregate=("sync_run", sync_run_id), correlation_id=sync_run_id)


class TDSSyncCompletedEvent(TDSEvent):
    """A run has ended; ``failed`` of its items are dead letters."""

    __slots__ = ()

    def __init__(
        self, *, sync_run_id: str, total_processed: int, successful: int, failed: int, duration_seconds: float
    ) -> None:
        data = {
            "sync_run_id": sync_run_id,
            "total_processed": total_processed,
            "successful": successful,
            "failed": failed,
            "duration_seconds": round(duration_seconds, 3),
        }
        super().__init__("tds.sync.completed", data, aggregate=("sync_run", sync_run_id), correlation_id=sync_run_id)


class TDSSyncFailedEvent(TDSEvent):
    """A run could not go on."""

    __slots__ = ()

    def __init__(self, *, sync_run_id: str, entity_type: str, error: str) -> None:
        data = {"sync_run_id": sync_run_id, "entity_type": entity_type, "error": error}
        super().__init__("tds.sync.failed", data, aggregate=("sync_run", sync_run_id), correlation_id=sync_run_id)


class TDSEntitySyncedEvent(TDSEvent):
    """An entity was created, updated or deleted locally. ``changes`` holds the new values of changed fields.

    Its type is that of its operation, and subscribers of ``tds.entity.synced`` get it too.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        entity_type: str,
        entity_id: str,
        source_entity_id: str,
        operation: OperationType,
        changes: Mapping[str, Any],
        correlation_id: str | None = None,
    ) -> None:
        data = {
            "entity_type": entity_type,
            "entity_id": entity_id,
            "source_entity_id": source_entity_id,
            "operation": operation.value,
            "changes": changes,
        }
        super().__init__(
            f"tds.entity.{operation.value}", data, aggregate=(entity_type, entity_id), correlation_id=correlation_id
        )

    @property
    def delivery_types(self) -> tuple[str, ...]:
        """Its own type, and the common one."""
        return (self.event_type, "tds.entity.synced")


class TDSEntityFailedEvent(TDSEvent):
    """An attempt failed; it will be tried again at ``next_retry_at``."""

    __slots__ = ()

    def __init__(
        self, *, entity_type: str, source_entity_id: str, queue_id: str, error: str, attempts: int, next_retry_at: str
    ) -> None:
        data = {
            "entity_type": entity_type,
            "source_entity_id": source_entity_id,
            "queue_id": queue_id,
            "error": error,
            "attempts": attempts,
            "next_retry_at": next_retry_at,
        }
        super().__init__("tds.entity.failed", data, aggregate=("queue_item", queue_id))


class TDSDeadLetterEvent(TDSEvent):
    """A change was given up and waits for a person."""

    __slots__ = ()

    def __init__(
        self,
        *,
        dead_letter_id: str,
        entity_type: str,
        source_entity_id: str | None,
        failure_reason: str,
        total_attempts: int,
    ) -> None:
        data = {
            "dead_letter_id": dead_letter_id,
            "entity_type": entity_type,
            "source_entity_id": source_entity_id,
            "failure_reason": failure_reason,
            "total_attempts": total_attempts,
        }
        super().__init__("tds.deadletter.added", data, aggregate=("dead_letter", dead_letter_id))


class TDSDeadLetterResolvedEvent(TDSEvent):
    """A dead letter was dealt with."""

    __slots__ = ()

    def __init__(self, *, dead_letter_id: str, entity_type: str, source_entity_id: str | None, resolution: str) -> None:
        data = {
            "dead_letter_id": dead_letter_id,
            "entity_type": entity_type,
            "source_entity_id": source_entity_id,
            "resolution": resolution,
        }
        super().__init__("tds.deadletter.resolved", data, aggregate=("dead_letter", dead_letter_id))


class TDSAlertTriggeredEvent(TDSEvent):
    """An alert has fired: once for as long as it is active. ``value`` went past ``threshold``."""

    __slots__ = ()

    def __init__(
        self,
        *,
        alert_id: str,
        rule: str,
        subject: str,
        severity: str,
        title: str,
        message: str,
        value: float | None,
        threshold: float | None,
    ) -> None:
        data = {
            "alert_id": alert_id,
            "rule": rule,
            "subject": subject,
            "severity": severity,
            "title": title,
            "message": message,
            "value": value,
            "threshold": threshold,
        }
        super().__init__("tds.alert.triggered", data, aggregate=("alert", alert_id))


class TDSAlertResolvedEvent(TDSEvent):
    """An alert is over: by itself, or by the person named in ``resolved_by``."""

    __slots__ = ()

    def __init__(
        self, *, alert_id: str, rule: str, subject: str, severity: str, title: str, resolved_by: str | None
    ) -> None:
        data = {
            "alert_id": alert_id,
            "rule": rule,
            "subject": subject,
            "severity": severity,
            "title": title,
            "resolved_by": resolved_by,
        }
        super().__init__("tds.alert.resolved", data, aggregate=("alert", alert_id))
