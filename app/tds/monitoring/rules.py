"""The five rules: what a reading says of each thing that is watched. Pure functions.

A finding is ``breached`` where an alert is due, ``calm`` where it is surely over, and neither in between: there an
alert that is active stays, and none begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias
from uuid import UUID

from app.core.config import AlertSettings
from app.tds.monitoring.figures import Process, Sums

__all__ = ["Finding", "Reading", "Rule", "Severity", "judge", "span"]

Severity: TypeAlias = Literal["info", "warning", "error", "critical"]

_HOUR: Final = 3_600


class Rule(StrEnum):
    """The names of the rules, as they stand in ``tds_alerts.rule``."""

    FAILURE_RATE = "failure_rate"
    QUEUE_BACKLOG = "queue_backlog"
    STALE_PROCESSING = "stale_processing"
    DEAD_LETTER_GROWTH = "dead_letter_growth"
    WORKER_FAILURE = "worker_failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read, at one moment. ``window`` are the attempts of the last minutes by entity type, ``waiting`` the
    items in queue and inbox, ``new_letters`` those of the last hour that are open. ``steady``: the database has
    answered for as long as a heartbeat may be late, so that a late one tells of its process and not of the database.
    """

    window: Mapping[str, Sums] = field(default_factory=dict[str, Sums])
    waiting: int = 0
    work_waits: bool = False
    stale_items: int = 0
    oldest_item_seconds: float = 0.0
    run_id: UUID | None = None
    run_type: str | None = None
    run_seconds: float = 0.0
    new_letters: int = 0
    processes: Sequence[Process] = ()
    steady: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule says of one subject; ``value`` and ``threshold`` have the rule's unit."""

    rule: Rule
    subject: str
    severity: Severity
    title: str
    message: str
    value: float
    threshold: float
    breached: bool
    calm: bool
    run_id: UUID | None = None


def judge(reading: Reading, settings: AlertSettings) -> list[Finding]:
    """What all rules say of a reading."""
    return [
        *_failure_rates(reading, settings),
        _queue_backlog(reading, settings),
        _stale_items(reading, settings),
        _stale_runs(reading, settings),
        _dead_letters(reading, settings),
        *_worker_failures(reading, settings),
    ]


def span(seconds: float) -> str:
    """A span in words: ``1 hour``, ``2 hours``, ``30 minutes``, ``45 seconds``."""
    for name, size in (("hour", _HOUR), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {name}{'' if seconds == size else 's'}"
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"


def _label(entity_type: str) -> str:
    return entity_type.replace("_", " ").capitalize()


def _failure_rates(reading: Reading, settings: AlertSettings) -> Iterator[Finding]:
    last = span(settings.failure_minutes * 60).removeprefix("1 ")
    for entity_type, sums in sorted(reading.window.items()):
        yield Finding(
            rule=Rule.FAILURE_RATE,
            subject=entity_type,
            severity="error",
            title="High failure rate detected",
            message=f"{_label(entity_type)} sync failure rate exceeded {settings.failure_rate:g}% in last {last}",
            value=round(sums.error_rate, 2),
            threshold=settings.failure_rate,
            breached=sums.processed >= settings.failure_items and sums.error_rate > settings.failure_rate,
            calm=sums.error_rate < settings.failure_rate * settings.resolve_below,
        )


def _queue_backlog(reading: Reading, settings: AlertSettings) -> Finding:
    limit = settings.queue_depth
    return Finding(
        rule=Rule.QUEUE_BACKLOG,
        subject="",
        severity="error",
        title="Queue backup detected",
        message=f"More than {limit:,} items wait to be processed",
        value=reading.waiting,
        threshold=limit,
        breached=reading.waiting > limit,
        calm=reading.waiting < limit * settings.resolve_below,
    )


def _stale_items(reading: Reading, settings: AlertSettings) -> Finding:
    value, limit = round(reading.oldest_item_seconds, 1), settings.stale_seconds
    amount = "An item has" if reading.stale_items == 1 else f"{reading.stale_items:,} items have"
    return Finding(
        rule=Rule.STALE_PROCESSING,
        subject="items",
        severity="warning",
        title="Stale processing detected",
        message=f"{amount} been in processing for more than {span(limit)}",
        value=value,
        threshold=limit,
        breached=reading.stale_items > 0,
        calm=value < limit * settings.resolve_below,
    )


def _stale_runs(reading: Reading, settings: AlertSettings) -> Finding:
    value, limit = round(reading.run_seconds, 1), settings.stale_seconds
    return Finding(
        rule=Rule.STALE_PROCESSING,
        subject="runs",
        severity="warning",
        title="Stale processing detected",
        message=f"A run of {reading.run_type or 'nothing'} has been in processing for more than {span(limit)}",
        value=value,
        threshold=limit,
        breached=reading.run_id is not None and reading.run_seconds > limit,
        calm=reading.run_id is None or reading.run_seconds < limit * settings.resolve_below,
        run_id=reading.run_id,
    )


def _dead_letters(reading: Reading, settings: AlertSettings) -> Finding:
    limit = settings.dead_letters
    return Finding(
        rule=Rule.DEAD_LETTER_GROWTH,
        subject="",
        severity="warning",
        title="Dead letter queue growth detected",
        message=f"More than {limit:,} changes were given up in last hour and wait for somebody",
        value=reading.new_letters,
        threshold=limit,
        breached=reading.new_letters > limit,
        calm=reading.new_letters < limit * settings.resolve_below,
    )


def _worker_failures(reading: Reading, settings: AlertSettings) -> Iterator[Finding]:
    limit = settings.worker_seconds
    lost = [one for one in reading.processes if not one.stopped and one.silent_seconds > limit]
    living = [one for one in reading.processes if not one.stopped and one.silent_seconds <= limit]
    replaced = _replaced(lost, living)
    nobody = reading.work_waits and not living
    for process in reading.processes:
        silent = process in lost and process.name not in replaced
        yield Finding(
            rule=Rule.WORKER_FAILURE,
            subject=process.name,
            severity="critical" if nobody else "error",
            title="Worker failure detected",
            message=_lost(process, limit) + ("; no worker is left, and work waits" if nobody else ""),
            value=round(process.silent_seconds, 1),
            threshold=limit,
            breached=silent and reading.steady,
            calm=not silent,
        )


def _lost(process: Process, limit: float) -> str:
    workers = "1 worker" if process.workers == 1 else f"{process.workers} workers"
    return f"{workers} on {process.host} ended without a goodbye: no heartbeat for more than {span(limit)}"


def _replaced(lost: Iterable[Process], living: Iterable[Process]) -> set[str]:
    """The lost processes for which another has been started since: each new one stands in for one lost."""
    free = sorted(living, key=lambda one: one.started_at)
    names: set[str] = set()
    for process in sorted(lost, key=lambda one: one.heartbeat_at):
        successor = next((one for one in free if one.started_at > process.heartbeat_at), None)
        if successor is not None:
            free.remove(successor)
            names.add(process.name)
    return names
