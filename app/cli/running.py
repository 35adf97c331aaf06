"""Running a command's work: settings, logging, signals, and the database or all that hangs on it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from app.cli.failures import StoppedError
from app.core.errors import ConfigurationError
from app.core.security.origin import origin

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from app.bootstrap import Runtime
    from app.core.config import Settings
    from app.core.database import Database

__all__ = [
    "DatabaseUnreachableError",
    "Signals",
    "database",
    "load_settings",
    "location",
    "run",
    "run_lasting",
    "runtime",
]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
T = TypeVar("T")


class DatabaseUnreachableError(ConfigurationError):
    """The database does not let us in; the message names its host and never its password."""


def load_settings(*, lasting: bool = False) -> Settings:
    """The settings, and logging set up after them. What does not last logs warnings only, unless told otherwise."""
    from app.core.config import Settings
    from app.core.telemetry import configure_logging

    settings = Settings.load()
    if not lasting:  # what a command does, it does for whoever gave it
        origin.set(f"command line, user {_user()}")
    quiet = not lasting and "level" not in settings.log.model_fields_set
    configure_logging(settings.log.model_copy(update={"level": "warning"}) if quiet else settings.log)
    return settings


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


class Signals:
    """What SIGINT and SIGTERM do to a command: the first calls ``gentle`` if that is set, and cancels the work
    otherwise; the second cancels in any case; more are ignored, so that nothing disturbs the cleaning up.
    """

    def __init__(self, task: asyncio.Future[Any]) -> None:
        self.gentle: Callable[[], None] | None = None
        self.received: list[int] = []
        self.cancelled = False
        self._task = task

    def install(self) -> None:
        """Take the signals."""
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._take, number)

    def remove(self) -> None:
        """Give them back."""
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _take(self, number: int) -> None:
        first = not self.received
        self.received.append(number)
        if first and self.gentle is not None:
            self.gentle()
        elif not self.cancelled:
            self.cancelled = True
            self._task.cancel()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Carry out ``work``; SIGINT and SIGTERM cancel it once, so that it can clean up.

    Raises:
        StoppedError: it was stopped by a signal.
    """
    return run_lasting(lambda _: work)


def run_lasting(work: Callable[[Signals], Coroutine[Any, Any, T]]) -> T:
    """The same for work that has a gentle way to end.

    Raises:
        StoppedError: it was cancelled by a signal.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_signalled(work))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _signalled(work: Callable[[Signals], Coroutine[Any, Any, T]]) -> T:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs is somebody's
    signals = Signals(task)
    signals.install()
    try:
        return await work(signals)
    except asyncio.CancelledError:
        if signals.cancelled:
            raise StoppedError(signals.received[-1]) from None
        raise
    finally:
        signals.remove()


@asynccontextmanager
async def runtime(settings: Settings) -> AsyncGenerator[Runtime]:
    """Everything built; see `app.bootstrap.open_runtime`.

    Raises:
        DatabaseUnreachableError: the database cannot be used.
    """
    from app.bootstrap import open_runtime

    async with AsyncExitStack() as stack:
        yield await _entered(stack, open_runtime(settings), settings)


@asynccontextmanager
async def database(settings: Settings) -> AsyncGenerator[Database]:
    """The database, as it is: its schema is not looked at.

    Raises:
        DatabaseUnreachableError: it cannot be used.
    """
    from app.bootstrap import open_database

    async with AsyncExitStack() as stack:
        opened = await _entered(stack, open_database(settings), settings)
        async with AsyncExitStack() as probe:
            await _entered(probe, opened.engine.connect(), settings)
        yield opened


async def _entered(stack: AsyncExitStack, context: AbstractAsyncContextManager[T], settings: Settings) -> T:
    from asyncpg import InterfaceError, PostgresError
    from sqlalchemy.exc import DBAPIError

    try:
        return await stack.enter_async_context(context)
    except (OSError, DBAPIError, InterfaceError, PostgresError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__]
        raise DatabaseUnreachableError(
            f"the database {location(settings)} cannot be used ({reason[0]}): see that it runs, and check "
            "TDS_DATABASE_URL"
        ) from error


def location(settings: Settings) -> str:
    """Where the database is: host, port and name."""
    if settings.database.url is None:
        return f"embedded in {settings.home}"
    parts = urlsplit(settings.database.url.get_secret_value())
    host = parts.hostname or "localhost"
    return f"{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
