"""``tds sync list|show|cancel|resume``: look at runs and steer them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.failures import UsageError
from app.cli.running import load_settings, run, runtime
from app.cli.sync import run_as_json, user, warn_without_worker
from app.cli.terminal import print_json

if TYPE_CHECKING:
    from datetime import datetime

    from app.bootstrap import Runtime
    from app.tds.core.steering import Steering
    from app.tds.models import TDSSyncRun
    from app.tds.types import EventStatus

__all__ = ["cancel_run", "list_runs", "resume_run", "show_run"]

RunId = Annotated[str, typer.Argument(help="Its id, or the beginning or end of it: 6 digits or more.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]


@asynccontextmanager
async def _steering() -> AsyncGenerator[tuple[Runtime, Steering]]:
    from app.tds.core.steering import Steering

    async with runtime(load_settings()) as opened, opened.database.session() as session:
        yield opened, Steering(session, opened.sources)


def list_runs(
    *,
    entity: Annotated[str | None, typer.Option("--entity", "-e", help="Of this entity type only.")] = None,
    status: Annotated[
        list[str] | None, typer.Option("--status", "-s", help="In this state; may be given again.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="So many at most, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first.

    Examples:

    - tds sync list
    - tds sync list --entity product --status failed --json
    """
    from app.cli.runs_screen import print_runs

    async def look() -> None:
        async with _steering() as (_, steering):
            found = await steering.find_runs(entity_type=entity, statuses=_statuses(status or ()), limit=limit)
            now = await _now(steering)
        print_json([_as_json(one, now) for one in found]) if as_json else print_runs(found, now)

    run(look())


def _statuses(names: Sequence[str]) -> list[EventStatus]:
    from app.tds.states import RUN

    unknown = [name for name in names if name not in {*RUN}]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no state of a run; there is: {', '.join(RUN)}")
    return [one for one in RUN if one in names]


def show_run(run_id: RunId, *, as_json: AsJson = False) -> None:
    """How far one is, how long it will still take, and what stopped it.

    Examples:

    - tds sync show 3f9a01cc
    - tds sync show 3f9a01cc --json
    """
    from app.cli.runs_screen import print_run

    async def look() -> None:
        async with _steering() as (_, steering):
            found, now = await _find(steering, run_id), await _now(steering)
        print_json(_as_json(found, now)) if as_json else print_run(found, now)

    run(look())


def cancel_run(run_id: RunId, *, as_json: AsJson = False) -> None:
    """Stop reading, and cancel what is queued and not begun. A cancelled run can be resumed.

    Example: tds sync cancel 3f9a01cc
    """

    async def work() -> None:
        async with _steering() as (_, steering):
            ended = await steering.cancel_run((await _find(steering, run_id)).id, actor=user())
            now = await _now(steering)
        if as_json:
            print_json(_as_json(ended, now))
            return
        begun = "" if ended.completed_at else "; what has begun is finished first"
        typer.echo(f"Cancelled after {ended.processed_events} of {ended.total_events} items{begun}.")

    run(work())


def resume_run(run_id: RunId, *, as_json: AsJson = False) -> None:
    """Let a failed or cancelled run go on where it stopped.

    Example: tds sync resume 3f9a01cc
    """

    async def work() -> None:
        async with _steering() as (opened, steering):
            resumed = await steering.resume_run((await _find(steering, run_id)).id, actor=user())
            now = await _now(steering)
            opened.doorbell.ring("runs")
            await opened.doorbell.close()
            await warn_without_worker(opened)
        if as_json:
            print_json(_as_json(resumed, now))
        else:
            typer.echo(f"The run of {resumed.entity_type} goes on. See how it is: tds sync show {resumed.id}")

    run(work())


async def _find(steering: Steering, part: str) -> TDSSyncRun:
    from app.cli.id_lookup import find_by_id
    from app.tds.core.runs import RunNotFoundError
    from app.tds.models import TDSSyncRun

    missing = RunNotFoundError(f"there is no run {part}; those that there are: tds sync list")
    return await find_by_id(steering.db, TDSSyncRun, part, what="runs", missing=missing)


async def _now(steering: Steering) -> datetime:
    from sqlalchemy import func, select

    async with steering.db.begin():
        return (await steering.db.execute(select(func.now()))).scalar_one()


def _as_json(one: TDSSyncRun, now: datetime) -> dict[str, Any]:
    from app.tds.core.runs import eta_seconds

    eta = None if one.completed_at else eta_seconds(one, now)
    return {**run_as_json(one), "started_by": one.started_by, "eta_seconds": None if eta is None else round(eta, 1)}
