"""A server as ``tds serve`` runs it, with limits that a test need not wait for. Prints its port; SIGTERM ends it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

import uvloop

from app.bootstrap import open_runtime
from app.cli.http_protocol import HttpLimits
from app.cli.http_server import ApiServer
from app.core.config import Settings
from app.core.telemetry import configure_logging
from app.main import create_app

LIMITS = HttpLimits(head_seconds=1.5, body_seconds=1.5, stalled_seconds=1.5)


async def main() -> None:
    """Serve until told to stop."""
    settings = Settings.load()
    configure_logging(settings.log)
    async with open_runtime(settings) as runtime:
        server = ApiServer(create_app(runtime), limits=LIMITS)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        await server.run_on(listening, on_ready=lambda: _tell(port))


def _tell(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    sys.exit(0)
