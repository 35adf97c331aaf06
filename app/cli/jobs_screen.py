"""Jobs, printed; and followed until their end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final
from uuid import UUID

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.terminal import ago, console, count, dim, short_id, state, table, visible
from app.core.clock import utc_now
from app.core.database import Database
from app.tds.core.jobs import get_job
from app.tds.models import TDSJob
from app.tds.states import JOB_FINAL

__all__ = ["follow_job", "job_as_json", "print_job", "print_jobs"]

_EVERY_SECONDS: Final = 0.15
_WORDS: Final = {"reprocess_letters": "reprocess", "resolve_letters": "resolve"}
_FIELDS: Final = (
    *("id", "kind", "criteria", "note", "status", "total", "done", "succeeded", "failed", "last_error"),
    *("requested_by", "created_at", "started_at", "completed_at"),
)


def job_as_json(job: TDSJob) -> dict[str, Any]:
    """A job in JSON values."""
    return {name: getattr(job, name) for name in _FIELDS}


def _meant(job: TDSJob) -> str:
    asked = [f"{name.replace('_', ' ')} {value}" for name, value in job.criteria.items() if name != "resolved"]
    return visible(", ".join(asked) or "all that were open")


def print_jobs(jobs: Sequence[TDSJob]) -> None:
    """A line each."""
    out = console()
    if not jobs:
        out.print("There are no jobs.")
        return
    now = utc_now()
    made = table("id", "what", "which letters", "state", "done", "failed", "by", "asked for", right=("done", "failed"))
    for job in jobs:
        made.add_row(
            short_id(job.id),
            _WORDS[job.kind],
            _meant(job),
            state(job.status.value),
            f"{count(job.done)}/{count(job.total)}",
            count(job.failed),
            visible(job.requested_by),
            ago(job.created_at, now),
        )
    out.print(made)


def print_job(job: TDSJob) -> None:
    """All of one."""
    out = console()
    out.print(state(job.status.value), f"{_WORDS[job.kind]} {count(job.total)} dead letters: {_meant(job)}")
    out.print(f"  {_end(job)}", soft_wrap=True)
    out.print()
    made = table("Job", "")
    for name in ("id", "requested_by", "note", "created_at", "started_at", "completed_at"):
        if (value := getattr(job, name)) is not None:
            made.add_row(name.replace("_", " "), visible(value))
    out.print(made)
    if job.last_error:
        out.print()
        out.print(dim("Newest error"))
        out.print(visible(job.last_error), soft_wrap=True)
    if job.status not in JOB_FINAL:
        out.print()
        out.print(f"-> tds job cancel {short_id(job.id)}")


def _end(job: TDSJob) -> str:
    told = f"{count(job.done)} of {count(job.total)} done, {count(job.failed)} failed"
    if job.status in JOB_FINAL and (missing := job.total - job.done) > 0:
        told += f", {count(missing)} {'left' if job.status.value == 'cancelled' else 'resolved meanwhile by others'}"
    return told


async def _looks(database: Database, job_id: UUID) -> AsyncGenerator[TDSJob]:
    while True:
        async with database.session() as session:
            job = await get_job(session, job_id)
        yield job
        if job.status in JOB_FINAL:
            return
        await asyncio.sleep(_EVERY_SECONDS)


async def follow_job(database: Database, job_id: UUID, *, quiet: bool) -> TDSJob:
    """Show a job until it has ended: a bar on a terminal, a line at the end elsewhere, or nothing."""
    job: TDSJob | None = None
    with _bar(hidden=quiet or not sys.stdout.isatty()) as progress:
        task = progress.add_task("", total=None)
        async for job in _looks(database, job_id):
            told = f"{_WORDS[job.kind]}: {count(job.failed)} failed"
            progress.update(task, total=job.total, completed=job.done, description=told)
    assert job is not None  # noqa: S101 - a look always finds the job
    if not quiet:
        console().print(state(job.status.value), _end(job))
        if job.last_error:
            console().print(f"  newest error: {visible(job.last_error)}", soft_wrap=True)
    return job


def _bar(*, hidden: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28, style="dim", complete_style="default", finished_style="green"),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(),
        disable=hidden,
    )
