"""Measure TDS: ``python -m benchmarks NAME [--json] [options]``; see ``benchmarks/README.md``."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any

import typer

from app.core.errors import TdsError
from benchmarks.report import Report, Reports
from benchmarks.storing import Way

commands = typer.Typer(no_args_is_help=True, add_completion=False, help="Measure TDS on this machine.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Full = Annotated[bool, typer.Option("--full", help="The long form, for a machine of its own.")]


def _run(work: Coroutine[Any, Any, Report | Reports], *, as_json: bool) -> None:
    """Carry a benchmark out, clean up whatever happens, and print what it found."""
    try:
        report = asyncio.run(_until_told(work))
    except TdsError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("stopped\n")
        raise typer.Exit(130) from None
    sys.stdout.write(f"{report.as_json() if as_json else report.as_text()}\n")


async def _until_told(work: Coroutine[Any, Any, Report | Reports]) -> Report | Reports:
    """SIGTERM ends it as Ctrl-C does: everything that was started is ended first."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has one
    with suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


@commands.command()
def pipeline(
    *,
    items: Annotated[int, typer.Option(min=1, help="Deliveries.")] = 30_000,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    batch: Annotated[int, typer.Option(min=1, max=5_000, help="Items in a batch: TDS_QUEUE_BATCH_SIZE.")] = 1_000,
    store: Annotated[Way, typer.Option(help="How deliveries reach the inbox.")] = Way.RECORDS,
    as_json: AsJson = False,
) -> None:
    """Deliveries stored, validated and applied with audit and events, beside the bulk-load limit."""
    from benchmarks import pipeline as module

    options = module.Options(items=items, workers=workers, batch=batch, way=store)
    _run(module.pipeline(options), as_json=as_json)


@commands.command()
def latency(
    *,
    rates: Annotated[list[int] | None, typer.Option(min=1, help="Deliveries a second; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long at each rate.")] = 20.0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    as_json: AsJson = False,
) -> None:
    """From a webhook sent to its row visible in the ERP, at fixed rates."""
    from benchmarks import latency as module

    options = module.Options(rates=rates or (10, 100, 500), seconds=seconds, workers=workers)
    _run(module.latency(options), as_json=as_json)


@commands.command()
def ingest(
    *,
    receipts: Annotated[int, typer.Option(min=3, help="Deliveries in each case; a third of it one by one.")] = 6_000,
    burst: Annotated[int, typer.Option(min=1, help="Deliveries at once.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Webhook receipts a second over HTTP, over few and many connections and in bursts; none may be lost."""
    from benchmarks import ingest as module

    _run(module.ingest(module.Options(receipts=receipts, burst=burst)), as_json=as_json)


@commands.command()
def growth(
    *,
    full: Full = False,
    rows: Annotated[list[int] | None, typer.Option(min=1, help="Old changes at a measurement; repeated.")] = None,
    waiting: Annotated[int, typer.Option(min=1, help="Changes that wait for a worker.")] = 500_000,
    runs: Annotated[int, typer.Option(min=5, help="How often each operation is timed.")] = 40,
    churn_seconds: Annotated[float | None, typer.Option(min=0, help="25, with --full 1800; 0 leaves it out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Claim, finish, status and views with little and with much history; then churn under a held snapshot."""
    from benchmarks import growth as module

    sizes = rows or ((10_000, 1_000_000, 10_000_000) if full else (10_000, 1_000_000))
    churn = churn_seconds if churn_seconds is not None else (1_800.0 if full else 25.0)
    options = module.Options(rows=sizes, waiting=waiting, runs=runs, churn_seconds=churn)
    _run(module.growth(options), as_json=as_json)


@commands.command()
def bff(
    *,
    rows: Annotated[int, typer.Option(min=1, help="Old changes in every table of history.")] = 10_000_000,
    connections: Annotated[int, typer.Option(min=1, help="Connections of the load generator.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds each way.")] = 5,
    round_seconds: Annotated[float, typer.Option(min=0.1, help="Length of a round.")] = 3.0,
    samples: Annotated[int, typer.Option(min=5, help="Answers computed anew for each endpoint.")] = 200,
    as_json: AsJson = False,
) -> None:
    """The dashboard: cached beside a bare endpoint, unchanged, and computed anew at ten million rows."""
    from benchmarks import bff as module

    options = module.Options(
        rows=rows, connections=connections, rounds=rounds, round_seconds=round_seconds, samples=samples
    )
    _run(module.bff(options), as_json=as_json)


@commands.command()
def peers(
    *,
    items: Annotated[int, typer.Option(min=10, help="Jobs in each try of a peer.")] = 3_000,
    tds_items: Annotated[int, typer.Option(min=10, help="Items for TDS.")] = 20_000,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, of each peer and of TDS.")] = 2,
    batch: Annotated[int, typer.Option(min=1, max=5_000, help="TDS's batch: TDS_QUEUE_BATCH_SIZE.")] = 1_000,
    only: Annotated[list[str] | None, typer.Option(help="pgqueuer, procrastinate or taskiq_redis; repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """The same audited upsert as one job each in PgQueuer, Procrastinate and Taskiq on Redis, beside TDS."""
    from benchmarks import peers as module

    names = only or tuple(peer.name for peer in module.PEERS)
    options = module.Options(items=items, tds_items=tds_items, workers=workers, batch=batch, names=names)
    _run(module.peers(options), as_json=as_json)


@commands.command(name="all")
def every(*, as_json: AsJson = False) -> None:
    """Every benchmark in its short form, one after the other; the machine should do nothing else meanwhile."""
    _run(_everything(), as_json=as_json)


async def _everything() -> Reports:
    from benchmarks import bff, growth, ingest, latency, peers, pipeline

    return Reports(
        [
            await pipeline.pipeline(pipeline.Options()),
            await latency.latency(latency.Options()),
            await growth.growth(growth.Options()),
            await ingest.ingest(ingest.Options()),
            await peers.peers(peers.Options()),
            await bff.bff(bff.Options(rows=1_000_000)),
        ]
    )


if __name__ == "__main__":
    commands(prog_name="python -m benchmarks")
