"""Taskiq on Redis: ``python -m benchmarks.peer_jobs.with_taskiq fill|work``.

The broker is the one of its documentation that acknowledges (Redis streams), since TDS loses no job either; messages
are fetched a hundred at a time, as many run beside each other as ``BENCH_LEVEL`` says and as many wait in the process;
parameters are not parsed a second time; uvloop. Redis itself writes every command to disk before it answers.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import os
import sys

import uvloop
from taskiq import TaskiqEvents, TaskiqState
from taskiq.acks import AcknowledgeType
from taskiq.cli.common_args import LogLevel
from taskiq.cli.worker.args import WorkerArgs
from taskiq.cli.worker.run import run_worker
from taskiq_redis import RedisStreamBroker

from benchmarks.peer_jobs.upsert import LEVEL, PROCESSES, Upserter, announce, bodies, end_with_parent

_PIECE = 200

broker = RedisStreamBroker(
    os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1"), consumer_id="0", xread_count=100, xread_block=500
)
_upserter: list[Upserter] = []


@broker.task(task_name="upsert")
async def upsert(body: str) -> None:
    """One job."""
    await _upserter[0].apply(body)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def _begin(state: TaskiqState) -> None:
    del state
    _upserter.append(await Upserter.connect())
    announce()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def _end(state: TaskiqState) -> None:
    del state
    await _upserter[0].close()


async def fill() -> None:
    """Send a message for each body, many at a time."""
    await broker.startup()
    jobs = bodies()
    for first in range(0, len(jobs), _PIECE):
        await asyncio.gather(*(upsert.kiq(body.decode()) for body in jobs[first : first + _PIECE]))
    await broker.shutdown()


def work() -> None:
    """Its own command's worker processes, until told to stop."""
    run_worker(
        WorkerArgs(
            broker="benchmarks.peer_jobs.with_taskiq:broker",
            modules=[],
            workers=PROCESSES,
            max_async_tasks=LEVEL,
            max_prefetch=LEVEL,
            no_parse=True,
            ack_type=AcknowledgeType.WHEN_EXECUTED,
            log_level=LogLevel.WARNING,
        )
    )


if __name__ == "__main__":
    end_with_parent()
    if sys.argv[1] == "fill":
        uvloop.run(fill())
    else:
        work()
