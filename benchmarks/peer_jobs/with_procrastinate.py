"""Procrastinate: ``python -m benchmarks.peer_jobs.with_procrastinate fill|work``.

As its documentation advises for short asynchronous jobs: batches where jobs are deferred, LISTEN, and jobs beside each
other in one worker (``concurrency``, here ``BENCH_LEVEL``) with a pool that is large enough for it. It fetches jobs one
by one: there is no batch to set.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import logging
import sys

import uvloop
from procrastinate import App, PsycopgConnector

from benchmarks.peer_jobs.upsert import LEVEL, URL, Upserter, announce, bodies, end_with_parent

_PIECE = 500
_POOL = 20

app = App(connector=PsycopgConnector(conninfo=URL, min_size=4, max_size=_POOL))
_upserter: list[Upserter] = []


@app.task(queue="peers", name="upsert")
async def upsert(body: str) -> None:
    """One job."""
    await _upserter[0].apply(body)


async def fill() -> None:
    """Install its tables, and defer a job for each body, many at a time."""
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        jobs = bodies()
        for first in range(0, len(jobs), _PIECE):
            piece = [{"body": body.decode()} for body in jobs[first : first + _PIECE]]
            await upsert.batch_defer_async(*piece)


async def work() -> None:
    """Do jobs until told to stop."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    async with app.open_async():
        _upserter.append(await Upserter.connect())
        announce()
        await app.run_worker_async(queues=["peers"], concurrency=LEVEL)
        await _upserter[0].close()


if __name__ == "__main__":
    end_with_parent()
    uvloop.run({"fill": fill, "work": work}[sys.argv[1]]())
