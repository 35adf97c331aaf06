"""PgQueuer: ``python -m benchmarks.peer_jobs.with_pgqueuer fill|work``.

As its page on performance advises: ``durable`` tables, its autovacuum settings, a connection of its own for the queue
manager, a pool for the jobs, larger batches for short jobs (``BENCH_LEVEL``), uvloop.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta

import asyncpg
import uvloop
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries

from benchmarks.peer_jobs.upsert import LEVEL, URL, Upserter, announce, bodies, end_with_parent

_PIECE = 1_000


async def fill() -> None:
    """Install its tables, and enqueue a job for each body, many at a time."""
    connection = await asyncpg.connect(URL)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    await queries.optimize_autovacuum()
    jobs = bodies()
    for first in range(0, len(jobs), _PIECE):
        piece = jobs[first : first + _PIECE]
        await queries.enqueue(["upsert"] * len(piece), piece, [0] * len(piece))
    await connection.close()


async def work() -> None:
    """Do jobs until told to stop."""
    connection = await asyncpg.connect(URL)
    upserter = await Upserter.connect()
    queue = PgQueuer.from_asyncpg_connection(connection)

    @queue.entrypoint("upsert")
    async def upsert(job: Job) -> None:
        await upserter.apply(job.payload or b"")

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queue.shutdown.set)
    announce()
    await queue.run(batch_size=LEVEL, dequeue_timeout=timedelta(seconds=1))
    await upserter.close()
    await connection.close()


if __name__ == "__main__":
    end_with_parent()
    uvloop.run({"fill": fill, "work": work}[sys.argv[1]]())
