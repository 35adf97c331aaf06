"""The server itself: made, started, and waited for.

Everything here is done by one process at a time, under ``start.lock``, while it is counted as a user.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from app.core.embedded.account import Account
from app.core.embedded.directories import check_data, prepare_run
from app.core.embedded.errors import DataDirectoryError, PostgresStartError
from app.core.embedded.installation import MAJOR, reachable_installation
from app.core.embedded.keeper import POLL_SECONDS, SOCKET_NAME, SOCKET_PORT, TEMPORARY_PREFIX, FileLock, Postmaster
from app.core.embedded.layout import Layout

__all__ = ["SETTINGS", "Server"]

START_SECONDS = 300.0
"""As long as the recovery after a crash may take, on a slow disk."""
SHORT_DIRECTORY = "/tmp"  # noqa: S108 - for mkdtemp() only; TMPDIR may be long, or closed to the account
LOG_BYTES = 10 * 1024 * 1024
LOG_TAIL_BYTES = 4096
BACKGROUND = '"$@" &'
"""A shell that leaves its child behind, so that the child is not ours and never our zombie."""
INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(SOCKET_PORT),
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}
"""For a desk machine of two cores. ``trust`` is safe since only the owner gets into the socket's folder."""


class Server:
    """The PostgreSQL of one layout; ``settings`` are added to, and win over, ``SETTINGS``."""

    def __init__(self, layout: Layout, account: Account, settings: Mapping[str, str]) -> None:
        self.layout = layout
        self.account = account
        self.settings = {**SETTINGS, **settings}
        self.postmaster = Postmaster(str(layout.data))

    def ensure_running(self) -> Path:
        """Start the server unless it runs, wait until it takes connections, and return its socket's folder.

        Raises:
            DataDirectoryError: the folder cannot be used; PostgresStartError: the server ends at once or hangs.
            PostgresNotInstalledError: there are no programs.
        """
        deadline = time.monotonic() + START_SECONDS
        launched = False
        while not self._is_serving():
            if self._is_gone() and not launched:
                self._launch()
                launched = True
            elif self._is_gone() or time.monotonic() > deadline:
                raise PostgresStartError(self.layout.log, self._log_tail())
            else:  # it is starting, recovering or stopping, or was killed and has children left
                time.sleep(POLL_SECONDS)
        return Path(self.postmaster.socket_directory or self.layout.run)

    def _is_serving(self) -> bool:
        return self.postmaster.is_ready and not self._is_gone()

    def _is_gone(self) -> bool:
        with FileLock(self.layout.server_lock) as lock:
            return lock.try_exclusive()

    def _launch(self) -> None:
        with FileLock(self.layout.server_lock) as lock:
            if not lock.try_exclusive():
                return
            self._refuse_foreign()
            prepare_run(self.layout, self.account)
            programs = reachable_installation(self.account)
            if not check_data(self.layout, self.account, MAJOR):
                self._initialise(programs.program("initdb"), lock)
            self._start(programs.program("postgres"), lock)

    def _refuse_foreign(self) -> None:
        """We hold ``server.lock``, so whatever runs in the data directory was not started by TDS."""
        if self.postmaster.is_alive:
            raise DataDirectoryError(
                self.layout.data,
                f"is used by a PostgreSQL that TDS did not start (process {self.postmaster.pid}): stop that server or "
                "choose another TDS_HOME.",
            )

    def _initialise(self, initdb: str, lock: FileLock) -> None:
        """Make the data directory beside its place and move it there whole, so that half a one never counts."""
        for leftover in self.layout.root.glob("data.init-*"):
            shutil.rmtree(leftover)
        unfinished = Path(tempfile.mkdtemp(prefix="data.init-", dir=self.layout.root))
        self.account.own(unfinished)
        done = self.account.run([initdb, f"--pgdata={unfinished}", *INITDB], pass_fds=(lock.fd,))
        if done.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise PostgresStartError(self.layout.log, self._record(done.stdout))
        unfinished.rename(self.layout.data)
        _sync(self.layout.root)

    def _start(self, postgres: str, lock: FileLock) -> None:
        directory = self._socket_directory()
        self._clear_stale(directory)
        settings = {**self.settings, "unix_socket_directories": str(directory)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        argv = ["/bin/sh", "-c", BACKGROUND, "sh", postgres, "-D", str(self.layout.data), *options]
        self._rotate_log()
        with self.layout.log.open("ab") as log:
            self.account.run(argv, output=log, pass_fds=(lock.fd,), new_session=True)

    def _socket_directory(self) -> Path:
        """``run``, or a new folder with a short name; one that a crash left is used again: clients know it."""
        if self.layout.run_is_usable:
            return self.layout.run
        last = Path(self.postmaster.socket_directory or self.layout.run)
        if last.name.startswith(TEMPORARY_PREFIX) and _is_private(last, self.account.uid):
            return last
        directory = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=SHORT_DIRECTORY))
        self.account.own(directory)
        return directory

    def _clear_stale(self, directory: Path) -> None:
        """Remove what a crash left where PostgreSQL would not dare: it goes by pids, and a pid may be in use again."""
        if self.postmaster.pid is not None:
            for path in (
                self.layout.data / "postmaster.pid",
                directory / SOCKET_NAME,
                directory / f"{SOCKET_NAME}.lock",
            ):
                path.unlink(missing_ok=True)

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.layout.log.stat().st_size > LOG_BYTES:
                self.layout.log.replace(self.layout.log.with_suffix(".1"))
        self.layout.log.touch(mode=0o600)

    def _record(self, output: bytes) -> str:
        with self.layout.log.open("ab") as log:
            log.write(output)
        return output[-LOG_TAIL_BYTES:].decode(errors="replace")

    def _log_tail(self) -> str:
        with contextlib.suppress(FileNotFoundError), self.layout.log.open("rb") as log:
            log.seek(max(0, self.layout.log.stat().st_size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")
        return ""


def _is_private(directory: Path, uid: int) -> bool:
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and stat.S_IMODE(found.st_mode) == stat.S_IRWXU


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
