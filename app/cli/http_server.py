"""uvicorn with our signals: it ends when it is told to, and what is around it is closed afterwards."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI

from app.cli.http_protocol import BoundedHttpProtocol, HttpLimits
from app.core.errors import TdsError

__all__ = ["ApiServer", "ApiStartError"]

_DRAIN_SECONDS: Final = 10


class ApiStartError(TdsError):
    """The API could not be started: the log says why."""


class ApiServer(uvicorn.Server):
    """Serves an application until ``stop``; ``limits`` hold for each connection.

    Who calls, and whether by https, is taken from ``X-Forwarded-*`` only where a proxy among ``proxies`` says it.
    """

    def __init__(self, application: FastAPI, *, limits: HttpLimits | None = None, proxies: Sequence[str] = ()) -> None:
        class Protocol(BoundedHttpProtocol):
            """Connections of this server."""

        Protocol.limits = limits or HttpLimits()
        super().__init__(
            uvicorn.Config(
                application,
                http=Protocol,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=list(proxies),
                lifespan="on",
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        self._application = application
        self._on_ready: Callable[[], None] | None = None

    def stop(self) -> None:
        """Accept nothing more, answer what has been asked, end the workers, and return from ``run_on``.

        An answer that goes on for as long as the server does is ended by what stands in the application's
        ``state.on_stop``: uvicorn would wait for it.
        """
        self.should_exit = True
        for end in getattr(self._application.state, "on_stop", ()):
            end()

    async def run_on(self, listening: socket.socket, *, on_ready: Callable[[], None]) -> None:
        """Serve on a bound socket; ``on_ready`` is called once requests are answered.

        Raises:
            ApiStartError: the application does not start.
        """
        self._on_ready = on_ready
        await self.serve(sockets=[listening])
        if not self.started:
            raise ApiStartError

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell that it listens."""
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            self._on_ready()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the command's. uvicorn would raise them again at its end, and cut the cleaning up short."""
        yield
