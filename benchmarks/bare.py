"""A bare Starlette endpoint on the same web server as the API: the measure of what answering costs at least.

Usage: ``python -m benchmarks.bare FILE``; ``GET /bare`` answers with the file's bytes as JSON.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.cli.http_server import ApiServer
from app.cli.lifeline import end_with_parent

if TYPE_CHECKING:
    from fastapi import FastAPI

_BACKLOG: Final = 2048


async def _serve(body: bytes) -> None:
    async def bare(request: Request) -> Response:
        """The same bytes, whoever asks."""
        del request
        return Response(body, media_type="application/json")

    application = Starlette(routes=[Route("/bare", bare)])
    server = ApiServer(cast("FastAPI", application))  # what it asks of an application, every Starlette has
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listening:
        line = f"listens on http://127.0.0.1:{listening.getsockname()[1]}\n"

        def announce() -> None:
            sys.stdout.write(line)
            sys.stdout.flush()

        await server.run_on(listening, on_ready=announce)


if __name__ == "__main__":
    end_with_parent()
    uvloop.run(_serve(Path(sys.argv[1]).read_bytes()))
