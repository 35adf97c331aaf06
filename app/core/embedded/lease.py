"""Who uses the server: one lease a user, and what its end means for the others.

``start.lock`` is held while somebody comes or goes, so users never race each other; ``users.lock`` is what a
user holds (see ``keeper``). Locks belong to the object that took them: several leases in one process count
as several users. A process forked from a user shares its lease and cannot outlive it: spawn instead.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO

from app.core.embedded.account import this_account
from app.core.embedded.errors import EmbeddedPostgresError
from app.core.embedded.keeper import PROGRAM, FileLock, stop_server
from app.core.embedded.layout import Layout
from app.core.embedded.server import BACKGROUND

__all__ = ["Lease"]

PATIENCE_SECONDS = 330.0
"""How long another process may take to start or stop the server: a little longer than it gives itself."""
KEEPER_SECONDS = 10.0


class Lease:
    """One use of the server of a layout. Not for use by several threads at a time."""

    def __init__(self, layout: Layout, *, patience: float = PATIENCE_SECONDS) -> None:
        self._layout = layout
        self._patience = patience
        self._users: FileLock | None = None

    @property
    def is_held(self) -> bool:
        """Whether this is counted as a user."""
        return self._users is not None

    @contextmanager
    def turn(self) -> Generator[None]:
        """Be the only one who comes or goes.

        Raises:
            EmbeddedPostgresError: another process does not finish.
        """
        with FileLock(self._layout.start_lock) as lock:
            if not lock.wait_exclusive(self._patience):
                raise EmbeddedPostgresError(f"Another process keeps {self._layout.start_lock} for too long: end it.")
            yield

    def take(self) -> None:
        """Become a user, in one's turn; waits for a keeper that is just stopping the server.

        Raises:
            EmbeddedPostgresError: the server is not stopped in time.
        """
        if self._users is None:
            users = FileLock(self._layout.users_lock)
            if not users.wait_shared(self._patience):
                users.close()
                raise self._does_not_stop()
            self._users = users
        self._ensure_keeper()

    def give_back(self) -> None:
        """Stop being a user, in one's turn; the last one stops the server and sees the keeper end."""
        if self._users is None:
            return
        users, self._users = self._users, None
        with users:
            if users.try_exclusive():
                self._stop()
            elif users.try_shared():
                return
        # Either we stopped it, or the keeper was quicker: it holds users.lock until it ends.
        self._await_keeper()

    def drop(self) -> None:
        """Stop being a user as a killed process does: what is left to do is the keeper's."""
        if self._users is not None:
            self._users.close()
            self._users = None

    def _stop(self) -> None:
        if not stop_server(str(self._layout.root)):
            raise self._does_not_stop()

    def _does_not_stop(self) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(f"The server of {self._layout.root} does not stop: see {self._layout.log}.")

    def _await_keeper(self) -> None:
        with FileLock(self._layout.keeper_lock) as lock, FileLock(self._layout.users_lock) as users:
            lock.wait_shared(self._patience)
            users.wait_shared(KEEPER_SECONDS)

    def _ensure_keeper(self) -> None:
        """Start a keeper if there is none; it inherits the lock that we take for it."""
        with FileLock(self._layout.keeper_lock) as lock:
            if lock.try_exclusive():
                self._layout.log.touch(mode=0o600)
                with self._layout.log.open("ab") as log:
                    _start_keeper(self._layout, lock, log)


def _start_keeper(layout: Layout, lock: FileLock, log: IO[bytes]) -> None:
    program = [sys.executable, "-I", "-S", PROGRAM, str(layout.root), str(lock.fd)]
    this_account().run(["/bin/sh", "-c", BACKGROUND, "sh", *program], output=log, pass_fds=(lock.fd,), new_session=True)
