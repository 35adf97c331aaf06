"""The one screen, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from app.cli.letters_screen import why
from app.cli.overview import Overview
from app.cli.pauses_screen import pauses_table
from app.cli.terminal import ago, console, count, dim, seconds, short_id, state, table, visible

if TYPE_CHECKING:
    from rich.table import Table

    from app.tds.models import TDSSyncRun

__all__ = ["print_overview"]

_WORDS: Final = {
    "healthy": "nothing is stuck",
    "degraded": "it goes on, and something needs a look",
    "stalled": "work waits and nobody does it",
    "critical": "it falls behind",
}


def print_overview(seen: Overview) -> None:
    """Print the screen: health, then what it rests on, then what to do."""
    out = console()
    out.print(Text.assemble(state(seen.health), f": {_WORDS[seen.health]}", dim(f"   database {seen.where}")))
    out.print()
    out.print(_queue(seen))
    paused = [pauses_table(seen.pauses, seen.now)] if seen.pauses else []
    jobs = [_jobs(seen)] if seen.jobs else []
    for part in (*paused, _entities(seen), _runs(seen), _letters(seen), *jobs, _workers(seen)):
        out.print()
        out.print(part)
    for number, line in enumerate(seen.advice()):
        if number == 0:
            out.print()
        out.print(f"-> {visible(line)}")


def _queue(seen: Overview) -> Table:
    queue = seen.queue
    made = table("Queue", "waiting", "in work", "to retry", "given up", "oldest waits")
    oldest = seconds(queue["oldest_pending_seconds"]) if queue["pending"] else "-"
    waiting = count(queue["pending"]) + (f" (+{count(seen.received)} unchecked)" if seen.received else "")
    retry = count(queue["retry"]) + (f" ({count(queue['retry_ready'])} due)" if queue["retry_ready"] else "")
    made.add_row("", waiting, count(queue["processing"]), retry, count(queue["dead_letter"]), oldest)
    return made


def _entities(seen: Overview) -> Table:
    made = table("Entities", "in step", "deleted", "last change applied", right=("in step", "deleted"))
    for one in seen.entities:
        made.add_row(one["entity_type"], count(one["synced"]), count(one["deleted"]), ago(one["last_sync"], seen.now))
    if not seen.entities:
        made.add_row("none yet")
    return made


def _runs(seen: Overview) -> Table:
    made = table(
        "Newest runs", "mode", "state", "items", "failed", "took", "asked for", "id", right=("items", "failed")
    )
    for run in seen.runs:
        made.add_row(
            run.entity_type,
            run.mode.value,
            state(run.status.value),
            f"{count(run.processed_events)}/{count(run.total_events)}",
            count(run.failed_events),
            _took(run, seen),
            ago(run.created_at, seen.now),
            dim(short_id(run.id)),
        )
    if not seen.runs:
        made.add_row("none yet")
    return made


def _took(run: TDSSyncRun, seen: Overview) -> str:
    if run.started_at is None:
        return "-"
    return seconds(((run.completed_at or seen.now) - run.started_at).total_seconds())


def _letters(seen: Overview) -> Table:
    made = table("Dead letters", "source id", "why", "since", "id")
    for letter in seen.letters:
        made.add_row(
            state("dead_letter", label=letter.entity_type),
            visible(letter.source_entity_id),
            why(letter),
            ago(letter.created_at, seen.now),
            dim(short_id(letter.id)),
        )
    if not seen.letters:
        made.add_row("none open")
    return made


def _jobs(seen: Overview) -> Table:
    made = table("Jobs", "state", "done", "failed", "by", "id", right=("done", "failed"))
    for job in seen.jobs:
        made.add_row(
            job.kind.replace("_letters", ""),
            state(job.status.value),
            f"{count(job.done)}/{count(job.total)}",
            count(job.failed),
            visible(job.requested_by),
            dim(short_id(job.id)),
        )
    return made


def _workers(seen: Overview) -> Table:
    made = table("Workers", "state", "done", "last heard of", right=("done",))
    for worker in seen.workers:
        made.add_row(
            visible(worker.id), state(worker.state), count(worker.processed), ago(worker.heartbeat_at, seen.now)
        )
    if not seen.workers:
        made.add_row("none running")
    return made
