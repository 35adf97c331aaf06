"""What the campaign's processes run: ``python -m tests.faults.node serve|worker|sandbox``.

``serve`` is the application's API without workers, ``worker`` a pool of workers, both from ``TDS_*`` variables;
``sandbox`` passes its arguments on to ``app.sandbox``. Two variables are read here and nowhere in the application:
``TDS_FAULTS_SABOTAGE`` names a fault to build in (see `tests.faults.sabotage`), ``TDS_FAULTS_CLOCK_SKEW`` puts this
process's clock off by so many seconds. Each process dies with its parent, however that ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import uuid_utils.compat
import uvicorn
import uvloop

from app.core import clock, ids

__all__ = ["SABOTAGE_VARIABLE", "SKEW_VARIABLE", "main"]

SABOTAGE_VARIABLE: Final = "TDS_FAULTS_SABOTAGE"
SKEW_VARIABLE: Final = "TDS_FAULTS_CLOCK_SKEW"
_PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> None:
    """Have the kernel send SIGKILL when the process that started this one ends (Linux, prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:
        sys.exit("the campaign is gone")


def skew_clock(seconds: float) -> None:
    """Put this process's clock off. Called before any module of the application copies the two functions."""
    off = timedelta(seconds=seconds)

    def utc_now() -> datetime:
        return datetime.now(UTC) + off

    def new_id() -> UUID:
        return uuid_utils.compat.uuid7(nanoseconds=int(utc_now().timestamp() * 1_000_000) * 1_000)

    clock.utc_now = utc_now
    ids.new_id = new_id


async def _serve() -> None:
    from app.bootstrap import open_runtime  # noqa: PLC0415 - after the clock was put off
    from app.core.config import Settings  # noqa: PLC0415 - the same
    from app.main import create_app  # noqa: PLC0415 - the same

    settings = Settings.load()
    async with open_runtime(settings) as runtime:
        config = uvicorn.Config(
            create_app(runtime),
            host=settings.server.host,
            port=settings.server.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        await uvicorn.Server(config).serve()


async def _work() -> None:
    from app.bootstrap import build_pool, open_runtime  # noqa: PLC0415 - after the clock was put off
    from app.core.config import Settings  # noqa: PLC0415 - the same

    settings = Settings.load()
    async with open_runtime(settings) as runtime:
        pool = build_pool(runtime, count=settings.worker.count)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, pool.stop)
        await pool.run()


def _application(kind: str, environment: Mapping[str, str]) -> None:
    if skew := environment.get(SKEW_VARIABLE):
        skew_clock(float(skew))
    from app.core.config import LogSettings  # noqa: PLC0415 - after the clock was put off
    from app.core.telemetry import configure_logging  # noqa: PLC0415 - the same
    from tests.faults.sabotage import apply_sabotage  # noqa: PLC0415 - the same

    configure_logging(LogSettings())
    if name := environment.get(SABOTAGE_VARIABLE):
        apply_sabotage(name)
    runners: dict[str, Callable[[], object]] = {
        "serve": lambda: uvloop.run(_serve()),
        "worker": lambda: uvloop.run(_work()),
    }
    runners[kind]()


def main(arguments: list[str]) -> None:
    """Run one process of the campaign until it is told to stop."""
    die_with_parent()
    kind, *rest = arguments
    if kind == "sandbox":
        from app.sandbox.__main__ import main as sandbox  # noqa: PLC0415 - the application's processes do without

        sandbox(rest)
    else:
        _application(kind, os.environ)


if __name__ == "__main__":
    main(sys.argv[1:])
