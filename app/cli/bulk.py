"""Many dead letters at once: count, ask, have it done by the workers, follow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from app.cli.failures import FAILED, StoppedError, UsageError
from app.cli.letter_desk import letter_service
from app.cli.letter_filters import Filters
from app.cli.running import run
from app.cli.sync import active_workers, user
from app.cli.terminal import count, print_json, short_id, warn

if TYPE_CHECKING:
    from app.tds.core.letter_criteria import LetterCriteria
    from app.tds.models import TDSJob

__all__ = ["one_or_all", "work_on_all"]

_NO_WORKER = "No worker is running; the job waits. Start one: tds worker"


def one_or_all(letter: str | None, filters: Filters, *, every: bool) -> None:
    """See that either one letter is named, or all that match are meant.

    Raises:
        UsageError: both, or neither.
    """
    if letter is not None and (every or filters.given):
        raise UsageError("give one letter, or --all-matching with what they match; not both")
    if letter is None and not every:
        hint = "add --all-matching to mean all that match" if filters.given else "give a letter, or --all-matching"
        raise UsageError(f"{hint} (tds dead-letter list shows them)")


def work_on_all(filters: Filters, *, note: str | None, agreed: bool, wait: bool, as_json: bool) -> None:
    """Resolve with a note, or reprocess without one, all open letters that match.

    Raises:
        Exit: some of them failed.
    """
    criteria = filters.criteria()
    verb = "Reprocess" if note is None else "Resolve"
    if not agreed:
        if as_json:
            raise UsageError("with --json nobody is asked: give --yes as well")
        _ask(verb, run(_count(criteria)))
    try:
        job = run(_work(criteria, note=note, wait=wait, as_json=as_json))
    except StoppedError as stopped:
        raise StoppedError(stopped.number, "The job goes on without you. See how it is: tds job list") from None
    if as_json:
        from app.cli.jobs_screen import job_as_json

        print_json(job_as_json(job))
    if job.failed or job.status.value == "cancelled":
        raise typer.Exit(FAILED)


def _ask(verb: str, amount: int) -> None:
    if not amount:
        typer.echo("No open dead letter matches.")
        raise typer.Exit
    what = "1 dead letter" if amount == 1 else f"{count(amount)} dead letters"
    if not typer.confirm(f"{verb} {what}?", err=not sys.stdout.isatty()):
        raise typer.Exit(FAILED)


async def _count(criteria: LetterCriteria) -> int:
    async with letter_service() as (_, service):
        return await service.count(criteria)


async def _work(criteria: LetterCriteria, *, note: str | None, wait: bool, as_json: bool) -> TDSJob:
    from app.cli.jobs_screen import follow_job

    async with letter_service() as (opened, service):
        if note is None:
            job = await service.reprocess_all(criteria, actor=user())
        else:
            job = await service.resolve_all(criteria, note=note, actor=user())
        opened.doorbell.ring("jobs")
        await opened.doorbell.close()
        if not as_json:
            typer.echo(f"Job {job.id} over {count(job.total)} dead letters. Its state: tds job show {short_id(job.id)}")
        if not await active_workers(opened):
            warn(_NO_WORKER)
            return job
        return await follow_job(opened.database, job.id, quiet=as_json) if wait else job
