"""Runs, printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from app.cli.terminal import ago, console, count, seconds, short_id, state, table, visible
from app.tds.core.runs import eta_seconds
from app.tds.models import TDSSyncRun
from app.tds.types import EventStatus

__all__ = ["print_run", "print_runs"]

_OPEN: Final = frozenset({EventStatus.PENDING, EventStatus.PROCESSING})
_FACTS: Final = (
    *("id", "source", "entity_type", "mode", "started_by", "since", "pages", "successful_events", "failed_events"),
    *("skipped_events", "created_at", "started_at", "completed_at", "next_attempt_at"),
)


def print_runs(runs: Sequence[TDSSyncRun], now: datetime) -> None:
    """A line each."""
    out = console()
    if not runs:
        out.print("There are no runs.")
        return
    made = table("id", "entity", "mode", "state", "items", "failed", "left", "asked for", right=("items", "failed"))
    for run in runs:
        made.add_row(
            short_id(run.id),
            visible(run.entity_type),
            run.mode.value,
            state(run.status.value),
            _items(run),
            count(run.failed_events),
            _left(run, now),
            ago(run.created_at, now),
        )
    out.print(made)


def print_run(run: TDSSyncRun, now: datetime) -> None:
    """All of one."""
    out = console()
    left = _left(run, now)
    told = f"{run.entity_type}, {run.mode.value}: {_items(run)} items" + (f", {left} left" if left != "-" else "")
    out.print(state(run.status.value), told)
    if run.error_summary:
        out.print(f"  {visible(run.error_summary)}", soft_wrap=True)
    out.print()
    made = table("Run", "")
    for name in _FACTS:
        if (value := getattr(run, name)) is not None:
            made.add_row(name.replace("_", " "), visible(value))
    out.print(made)
    if run.status in _OPEN or run.status in {EventStatus.FAILED, EventStatus.CANCELLED}:
        out.print()
        out.print(f"-> tds sync {'cancel' if run.status in _OPEN else 'resume'} {short_id(run.id)}")


def _items(run: TDSSyncRun) -> str:
    more = "" if run.scan_completed or run.status not in _OPEN else "+"
    return f"{count(run.processed_events)}/{count(run.total_events)}{more}"


def _left(run: TDSSyncRun, now: datetime) -> str:
    eta = eta_seconds(run, now) if run.status in _OPEN else None
    return "-" if eta is None else seconds(eta)
