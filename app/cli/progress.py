"""Runs as they go: bars on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Literal, Protocol
from uuid import UUID

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from sqlalchemy import func, select

from app.cli.terminal import console, count
from app.core.database import Database
from app.tds.models import TDSSyncRun
from app.tds.types import EventStatus

__all__ = ["Display", "display", "follow"]

_EVERY_SECONDS: Final = 0.15
_LINE_SECONDS: Final = 2.0
_OPEN: Final = frozenset({EventStatus.PENDING, EventStatus.PROCESSING})

Look = tuple[Sequence[TDSSyncRun], datetime]


class Display(Protocol):
    """Shows how runs are doing."""

    def update(self, runs: Sequence[TDSSyncRun], now: datetime) -> None:
        """Show them as they are ``now``, by the database's clock."""
        ...


async def follow(database: Database, ids: Sequence[UUID], shown: Display, *, until_ended: bool) -> list[TDSSyncRun]:
    """Show runs until all have ended, or once; the runs as they were last."""
    runs: Sequence[TDSSyncRun] = ()
    async for runs, now in _looks(database, ids):
        shown.update(runs, now)
        if not until_ended or not any(run.status in _OPEN for run in runs):
            break
    return list(runs)


async def _looks(database: Database, ids: Sequence[UUID]) -> AsyncGenerator[Look]:
    query = select(TDSSyncRun, func.now()).where(TDSSyncRun.id.in_(ids))
    while True:
        async with database.session() as session:
            rows = (await session.execute(query)).all()
        found = {run.id: run for run, _ in rows}
        yield [found[one] for one in ids], rows[0][1]
        await asyncio.sleep(_EVERY_SECONDS)


@contextmanager
def display(kind: Literal["bars", "requests", "none"]) -> Generator[Display]:
    """A display: of progress, of the bare fact that runs were asked for, or none."""
    if kind == "none":
        yield _Nothing()
    elif kind == "requests":
        yield _Requests()
    elif sys.stdout.isatty():
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield _Lines()


class _Nothing:
    def update(self, runs: Sequence[TDSSyncRun], now: datetime) -> None:
        """Show nothing."""


class _Requests:
    def update(self, runs: Sequence[TDSSyncRun], now: datetime) -> None:
        """A line for each run."""
        del now
        out = console()
        for run in runs:
            what = "everything" if run.since is None else f"what changed since {run.since:%Y-%m-%d %H:%M:%S} UTC"
            out.print(f"{run.entity_type:<10} run {run.id}, reads {what}")
        out.print('Follow it: tds status. To wait for the end: "tds sync run ... --wait"')


class _Lines:
    """A line for a run every two seconds while it goes on, and one at its end."""

    def __init__(self) -> None:
        self._out = console()
        self._told: dict[UUID, datetime] = {}
        self._ended: set[UUID] = set()

    def update(self, runs: Sequence[TDSSyncRun], now: datetime) -> None:
        """Tell what has not been told for a while."""
        for run in runs:
            last = self._told.setdefault(run.id, now)
            if run.id in self._ended:
                continue
            if run.status not in _OPEN:
                self._ended.add(run.id)
                self._out.print(f"{run.entity_type:<10} {_end(run, now)}", soft_wrap=True)
            elif (now - last).total_seconds() >= _LINE_SECONDS:
                self._told[run.id] = now
                self._out.print(_line(run, now), soft_wrap=True)


def _line(run: TDSSyncRun, now: datetime) -> str:
    return f"{run.entity_type:<10} {count(run.processed_events)} of {_total(run)}, {_details(run, now)}"


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[UUID, TaskID] = {}

    def update(self, runs: Sequence[TDSSyncRun], now: datetime) -> None:
        """Move the bars."""
        for run in runs:
            if run.id not in self._tasks:
                self._tasks[run.id] = self._progress.add_task(run.entity_type, total=None, told="")
            ended = run.status not in _OPEN
            self._progress.update(
                self._tasks[run.id],
                total=run.total_events if run.total_events or ended else None,
                completed=run.processed_events,
                told=_end(run, now) if ended else f"{run.processed_events} of {_total(run)}, {_details(run, now)}",
            )


def _bars() -> Progress:
    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description:<10}", markup=False),
        BarColumn(bar_width=28, style="dim", complete_style="default", finished_style="green"),
        TextColumn("{task.fields[told]}", markup=False),
        console=console(),
    )


def _total(run: TDSSyncRun) -> str:
    return count(run.total_events) + ("" if run.scan_completed else "+")


def _details(run: TDSSyncRun, now: datetime) -> str:
    if run.next_attempt_at is not None and run.next_attempt_at > now:
        return f"the source is asked again in {(run.next_attempt_at - now).total_seconds():.0f} s: {run.error_summary}"
    if run.started_at is None:
        return "waits for a worker"
    return f"{run.failed_events} failed, {_rate(run, now)}/s"


def _end(run: TDSSyncRun, now: datetime) -> str:
    done = f"{run.status.value}: {count(run.processed_events)} of {count(run.total_events)}, {_details(run, now)}"
    return f"{done}, {_seconds(run, now):.1f} s" + (f" - {run.error_summary}" if run.error_summary else "")


def _rate(run: TDSSyncRun, now: datetime) -> str:
    return count(round(run.processed_events / max(_seconds(run, now), 0.1)))


def _seconds(run: TDSSyncRun, now: datetime) -> float:
    return ((run.completed_at or now) - (run.started_at or now)).total_seconds()
