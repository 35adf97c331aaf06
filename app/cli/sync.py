"""``tds sync``: ask the workers for runs, and wait for them; `app.cli.runs` has what is done to them later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.demo.mark import warn_of_demo
from app.cli.failures import FAILED, StoppedError, UsageError
from app.cli.running import load_settings, run, runtime
from app.cli.terminal import print_json, warn
from app.core.errors import ConfigurationError

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from app.bootstrap import Runtime
    from app.core.config import Settings
    from app.core.database import Database
    from app.core.doorbell import Doorbell
    from app.tds.models import TDSSyncRun
    from app.tds.types import EntityType, RunMode

__all__ = [
    "NO_WORKER",
    "active_workers",
    "all_well",
    "request_runs",
    "run_as_json",
    "syncs",
    "user",
    "warn_without_worker",
]

NO_WORKER = "No worker is running; it waits. Start one: tds worker"

syncs = typer.Typer(help="Read a source, all of it or what has changed.", no_args_is_help=True)


@syncs.callback()
def _syncs() -> None:
    """Holds the subcommands."""


@syncs.command("run")
def sync_run(
    source: Annotated[str, typer.Argument(help="The source's name: zoho.")],
    *,
    entity: Annotated[
        list[str] | None, typer.Option("--entity", "-e", help="What to read; may be given again. All of it by default.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything, not only what has changed.")] = False,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end; exit 1 if anything failed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Have the workers read a source: one run for each entity.

    Without --full a run reads what has changed since the last one. Ctrl-C while waiting leaves the runs going.

    Examples:

    - tds sync run zoho --wait
    - tds sync run zoho --entity product --full
    - tds sync run zoho -e product -e customer --wait --json
    """
    settings = load_settings()
    try:
        runs = run(_run(settings, source, entity or [], full=full, wait=wait, as_json=as_json))
    except StoppedError as stopped:
        raise StoppedError(stopped.number, "The runs go on without you. See how they are: tds status") from None
    if as_json:
        print_json({"ok": all_well(runs, waited=wait), "runs": [run_as_json(one) for one in runs]})
    if not all_well(runs, waited=wait):
        raise typer.Exit(FAILED)


async def _run(
    settings: Settings, source: str, names: Sequence[str], *, full: bool, wait: bool, as_json: bool
) -> list[TDSSyncRun]:
    from app.cli.progress import display, follow
    from app.tds.types import RunMode

    async with runtime(settings) as opened:
        entities = _entities(opened, source, names)
        _refuse_unconnected(settings, source)
        await warn_of_demo(opened.database)
        mode = RunMode.FULL if full else RunMode.INCREMENTAL
        ids = await request_runs(opened.database, opened.doorbell, source, entities, mode, started_by=user())
        await warn_without_worker(opened)
        with display("none" if as_json else "bars" if wait else "requests") as shown:
            return await follow(opened.database, ids, shown, until_ended=wait)


def _entities(opened: Runtime, source: str, names: Sequence[str]) -> list[EntityType]:
    if source not in opened.sources:
        raise UsageError(f"there is no source {source!r}; there is: {', '.join(opened.sources)}")
    known = sorted(opened.sources[source].entity_types, key=list(type(next(iter(opened.targets)))).index)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"{source} is not read for {unknown[0]!r}; it is for: {', '.join(known)}")
    return [one for one in known if not names or one in names]


def _refuse_unconnected(settings: Settings, source: str) -> None:
    if source == "zoho" and settings.zoho.missing:
        raise ConfigurationError(f"Zoho is not connected: set {', '.join(settings.zoho.missing)}")


async def request_runs(
    database: Database, doorbell: Doorbell, source: str, entities: Sequence[str], mode: RunMode, *, started_by: str
) -> list[UUID]:
    """Ask for one run for each entity; one that is open already serves, if it reads as much.

    Raises:
        ConflictError: everything is to be read, and a run that reads less is under way.
    """
    from app.tds.core.runs import RunAlreadyOpenError
    from app.tds.core.service import TDSService

    ids: list[UUID] = []
    async with database.session() as session:
        for entity in entities:
            try:
                asked = await TDSService(session).request_sync_run(
                    source=source, entity_type=entity, mode=mode, started_by=started_by
                )
                ids.append(asked.id)
            except RunAlreadyOpenError as error:
                await _accept_open(session, error.run_id, mode)
                ids.append(error.run_id)
    doorbell.ring("runs")
    await doorbell.close()
    return ids


async def _accept_open(session: AsyncSession, run_id: UUID, mode: RunMode) -> None:
    from app.core.errors import ConflictError
    from app.tds.models import TDSSyncRun
    from app.tds.types import RunMode

    async with session.begin():
        running = await session.get_one(TDSSyncRun, run_id)
    if mode is RunMode.FULL and running.since is not None:
        raise ConflictError(
            f"a run of {running.entity_type} that reads only what has changed is under way: ask again when it has "
            "ended (tds status)"
        )
    warn(f"A run of {running.entity_type} is under way already: this is that one.")


async def warn_without_worker(opened: Runtime) -> None:
    """Say so if nobody is there to carry out what was asked for."""
    if not await active_workers(opened):
        warn(NO_WORKER)


async def active_workers(opened: Runtime) -> int:
    """How many workers there are, in all processes."""
    from sqlalchemy import func, select

    from app.tds.core.service import alive
    from app.tds.models import TDSWorker

    async with opened.database.session() as session:
        return await session.scalar(select(func.count()).select_from(TDSWorker).where(alive())) or 0


def all_well(runs: Sequence[TDSSyncRun], *, waited: bool = True) -> bool:
    """Whether all runs were completed without a failed item; before their end, whether none has failed yet."""
    from app.tds.types import EventStatus

    good = {EventStatus.COMPLETED} if waited else {EventStatus.COMPLETED, EventStatus.PENDING, EventStatus.PROCESSING}
    return all(one.status in good and not one.failed_events for one in runs)


def user() -> str:
    """Who gave the command, for the records."""
    import getpass

    try:
        return f"{getpass.getuser()} (tds)"
    except (KeyError, OSError):  # a container's user may have no name
        return "tds"


def run_as_json(one: TDSSyncRun) -> dict[str, Any]:
    """A run in JSON values."""
    ended = one.completed_at
    return {
        "id": one.id,
        "source": one.source,
        "entity_type": one.entity_type,
        "mode": one.mode.value,
        "status": one.status.value,
        "pages": one.pages,
        "total": one.total_events,
        "processed": one.processed_events,
        "successful": one.successful_events,
        "failed": one.failed_events,
        "skipped": one.skipped_events,
        "started_at": one.started_at,
        "completed_at": ended,
        "seconds": round((ended - one.started_at).total_seconds(), 3) if ended and one.started_at else None,
        "error": one.error_summary,
    }
