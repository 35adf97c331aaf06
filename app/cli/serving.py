"""``tds serve`` and ``tds worker``: what runs until it is told to stop."""

from __future__ import annotations

import gc
import os
import socket
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.demo.mark import warn_of_demo
from app.cli.lifeline import end_with_parent
from app.cli.running import Signals, load_settings, run_lasting, runtime
from app.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.bootstrap import Runtime
    from app.core.config import Settings

__all__ = ["WithParent", "serve", "worker"]

_BACKLOG: Final = 2048

WithParent = Annotated[bool, typer.Option("--with-parent", hidden=True, help="End when standard input ends.")]


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on; TDS_SERVER_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 is a free one; TDS_SERVER_PORT.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, max=64, help="Workers in this process, 0 for none; TDS_WORKER_COUNT.")
    ] = None,
    with_parent: WithParent = False,
) -> None:
    """Run the API, and workers in the same process.

    Ctrl-C or SIGTERM ends it cleanly: it stops accepting, finishes the batch in hand and leaves nothing behind.

    Examples:

    - tds serve
    - tds serve --port 9000 --workers 4
    - tds serve --workers 0   (the API alone; workers run elsewhere)
    """
    settings = load_settings(lasting=True)
    if with_parent:
        end_with_parent()
    address = (host or settings.server.host, settings.server.port if port is None else port)
    with _bound(*address) as listening:
        number = settings.worker.count if workers is None else workers
        run_lasting(lambda signals: _serve(settings, listening, number, signals))


def worker(
    *,
    count: Annotated[int | None, typer.Option(min=1, max=64, help="Workers in this process; TDS_WORKER_COUNT.")] = None,
) -> None:
    """Run workers only: they read sources, check what arrived and apply it.

    Any number of these may run, on any number of machines, on one database. Ctrl-C or SIGTERM lets them finish the
    batch in hand; a second one does not wait for it.

    Examples:

    - tds worker
    - tds worker --count 4
    """
    settings = load_settings(lasting=True)
    number = max(1, settings.worker.count) if count is None else count
    run_lasting(lambda signals: _work(settings, number, signals))


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({reason}): stop what listens there, or choose another with --port"
        ) from error


async def _serve(settings: Settings, listening: socket.socket, workers: int, signals: Signals) -> None:
    from app.cli.http_server import ApiServer
    from app.main import create_app

    async with runtime(settings) as opened:
        await warn_of_demo(opened.database)
        server = ApiServer(create_app(opened, workers=workers), proxies=settings.server.trusted_proxies)
        signals.gentle = server.stop
        lines = [f"TDS listens on {_url(listening)}, {_workers(workers)}", *await _first_token(opened)]
        try:
            await server.run_on(listening, on_ready=lambda: _ready(lines))
        finally:
            _announce_all(lines)  # what was not said, for want of being ready: the token stands nowhere else


async def _first_token(opened: Runtime) -> Sequence[str]:
    """What to say of the first token, if this is the first start of all: it is made once, by one process."""
    if opened.settings.server.admin_token is not None:
        return ()
    from app.cli.tokens import token_lines
    from app.core.security.origin import acting_from
    from app.core.security.tokens import Tokens
    from app.tds.core.audit import record_access

    with acting_from("tds serve"):
        async with opened.database.session() as session:
            made = await Tokens(session, record_access).create_first()
    if made is None:
        return ()
    return (
        *token_lines(made.secret.text, "first start: the admin's"),
        f"More of them: tds token create; this one ends by: tds token revoke {made.row.prefix}",
    )


async def _work(settings: Settings, count: int, signals: Signals) -> None:
    from app.bootstrap import build_pool

    async with runtime(settings) as opened:
        await warn_of_demo(opened.database)
        pool = build_pool(opened, count=count)
        signals.gentle = pool.stop
        _ready([f"TDS is at work, {_workers(count)}"])
        await pool.run()


_GARBAGE: Final = (50_000, 20, 50)
"""A batch makes some ten thousand objects and next to no cycles: at 700 the search for those costs a tenth of it."""


def _ready(lines: list[str]) -> None:
    """What is loaded by now stays for ever: looking through it for garbage would stop all work, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    _announce_all(lines)


def _announce_all(lines: list[str]) -> None:
    while lines:
        _announce(lines.pop(0))


def _announce(line: str) -> None:
    """At once, for whoever started us and reads through a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _workers(count: int) -> str:
    return {0: "without workers", 1: "with 1 worker"}.get(count, f"with {count} workers")
