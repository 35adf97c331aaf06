"""Runs a sandbox as a server of its own."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from app.sandbox.zoho.application import create_app

if TYPE_CHECKING:
    from app.sandbox.zoho.config import SandboxConfig

__all__ = ["serve"]


def serve(
    config: SandboxConfig, *, host: str = "127.0.0.1", port: int = 0, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, which end it within a second whatever is connected.

    ``on_ready`` gets the base URL once calls are answered; without it, ``Zoho sandbox on URL`` is printed. Port 0 is
    a free one: the socket is bound here and handed on, so that nobody can take it in between.

    Raises:
        OSError: the address cannot be bound.
    """
    with socket.create_server((host, port), backlog=2048) as bound:
        url = f"http://{host}:{bound.getsockname()[1]}"
        settings = uvicorn.Config(
            create_app(config), log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=0
        )
        # A cut connection is a fault asked for; uvicorn would log each as an application error.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        _Server(settings, url, on_ready or _announce).run(sockets=[bound])


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, url: str, on_ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._url = url
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready(self._url)


def _announce(url: str) -> None:
    sys.stdout.write(f"Zoho sandbox on {url}\n")
    sys.stdout.flush()
