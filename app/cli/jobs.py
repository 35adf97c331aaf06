"""``tds job``: work on many dead letters at once, as the workers carry it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.failures import FAILED, StoppedError
from app.cli.running import load_settings, run, runtime
from app.cli.sync import user
from app.cli.terminal import print_json

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.tds.models import TDSJob

__all__ = ["job_commands"]

job_commands = typer.Typer(help="Work on many dead letters at once: look, follow, cancel.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="Its id, or the beginning or end of it: 6 digits or more.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]


@job_commands.callback()
def _jobs() -> None:
    """Holds the subcommands."""


@job_commands.command("list")
def list_jobs(
    *,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="So many at most, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Examples:

    - tds job list
    - tds job list --open --json
    """
    from app.cli.jobs_screen import job_as_json, print_jobs
    from app.tds.core import jobs

    async def look() -> None:
        async with runtime(load_settings()) as opened, opened.database.session() as session:
            found = await jobs.list_jobs(session, open_only=open_only, limit=limit)
        print_json([job_as_json(one) for one in found]) if as_json else print_jobs(found)

    run(look())


@job_commands.command("show")
def show(
    job: JobId,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Follow it to its end; exit 1 if a letter failed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """How far one is, and what failed last.

    Examples:

    - tds job show 3f9a01cc
    - tds job show 3f9a01cc --wait
    """
    from app.cli.jobs_screen import follow_job, job_as_json, print_job

    async def look() -> TDSJob:
        async with runtime(load_settings()) as opened, opened.database.session() as session:
            found = await _find(session, job)
            if wait:
                return await follow_job(opened.database, found.id, quiet=as_json)
        if not as_json:
            print_job(found)
        return found

    try:
        seen = run(look())
    except StoppedError as stopped:
        raise StoppedError(stopped.number, "The job goes on without you.") from None
    if as_json:
        print_json(job_as_json(seen))
    if wait and (seen.failed or seen.status.value == "cancelled"):
        raise typer.Exit(FAILED)


@job_commands.command("cancel")
def cancel(job: JobId, *, as_json: AsJson = False) -> None:
    """End one before its time; what it has done stays done.

    Example: tds job cancel 3f9a01cc
    """
    from app.cli.jobs_screen import job_as_json
    from app.tds.core import jobs

    async def work() -> None:
        async with runtime(load_settings()) as opened, opened.database.session() as session:
            ended = await jobs.cancel_job(session, (await _find(session, job)).id, actor=user())
        if as_json:
            print_json(job_as_json(ended))
        else:
            typer.echo(f"Cancelled after {ended.done} of {ended.total} dead letters.")

    run(work())


async def _find(session: AsyncSession, part: str) -> TDSJob:
    from app.cli.id_lookup import find_by_id
    from app.tds.core.jobs import JobNotFoundError
    from app.tds.models import TDSJob

    missing = JobNotFoundError(f"there is no job {part}; those that there are: tds job list")
    return await find_by_id(session, TDSJob, part, what="jobs", missing=missing)
