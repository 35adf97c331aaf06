"""The keeper: a small process of its own that stops PostgreSQL when nobody uses it any more.

Every user of the server holds a shared lock on ``users.lock``, which the kernel takes back however the
user ends. The keeper waits for the exclusive lock on the same file, so it gets it when the last user is
gone, be it by ``kill -9``; then it stops the server and ends. Until then it holds ``keeper.lock``, which
its parent took and handed down, so there is no moment in which a second one could start.

``server.lock`` is handed down to PostgreSQL itself, which passes it on to every process it forks and never
looks at it. So it is free if and only if no process of the server is left: what a pid in a file can
never prove, since pids are used again and zombies keep theirs.

This file is run by its path in an isolated interpreter, for speed and so that nothing in the environment
can break it: it imports a little of the standard library and nothing of TDS. What it shares with the rest
of the package therefore stands here: the locks, ``postmaster.pid``, and how to stop the server.
"""

# ruff: noqa: PTH106, PTH108, PTH110, PTH118, PTH119, PTH121, PTH123 - pathlib would load several times as much

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, Self

__all__ = ["PROGRAM", "SOCKET_NAME", "SOCKET_PORT", "TEMPORARY_PREFIX", "FileLock", "Postmaster", "main", "stop_server"]

PROGRAM = __file__
POLL_SECONDS = 0.01
REPEAT_SECONDS = 2.0
"""A signal is sent again after this long: one sent in the server's first moments may be lost."""
STOP_SIGNALS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 30.0))
"""Fast shutdown, then immediate shutdown (safe, costs a recovery), and the seconds each is given."""
SOCKET_PORT = 5432
"""Not a TCP port: the end of the socket's name."""
SOCKET_NAME = f".s.PGSQL.{SOCKET_PORT}"
TEMPORARY_PREFIX = "tds-postgres-"


class FileLock:
    """One ``flock`` on one file; it belongs to this object, not to the process or the thread.

    The file descriptor is closed on exec, so children do not keep the lock, unless it is passed on by name.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back, except for copies of it that were passed to children."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def try_shared(self) -> bool:
        """Hold the lock together with others; ``False`` while somebody holds it alone."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Hold the lock alone; ``False`` while anybody holds it. A shared lock held before is lost either way."""
        return self._try(fcntl.LOCK_EX)

    def wait_shared(self, seconds: float) -> bool:
        """Like ``try_shared``, for ``seconds`` at most."""
        return self._wait(fcntl.LOCK_SH, seconds)

    def wait_exclusive(self, seconds: float) -> bool:
        """Like ``try_exclusive``, for ``seconds`` at most."""
        return self._wait(fcntl.LOCK_EX, seconds)

    def _try(self, mode: int) -> bool:
        try:
            fcntl.flock(self.fd, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, mode: int, seconds: float) -> bool:
        # Polled, since a blocking flock() knows no time limit.
        deadline = time.monotonic() + seconds
        while not self._try(mode):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


class Postmaster:
    """What ``postmaster.pid`` says about a data directory; read afresh at each question.

    Its lines (``src/include/utils/pidfile.h`` of PostgreSQL): pid, data directory, start time, port, socket
    directory, listen address, shared memory key, status.
    """

    def __init__(self, data: str) -> None:
        self.data = data

    @property
    def pid(self) -> int | None:
        """The process id, whether or not that process lives; ``None`` if there is no such file."""
        line = self._line(0)
        return int(line) if line.isdigit() else None

    @property
    def socket_directory(self) -> str | None:
        """Where its socket is, or was when it ran last."""
        return self._line(4) or None

    @property
    def is_ready(self) -> bool:
        """Whether it lives and takes connections."""
        return self._line(7).strip() == "ready" and self.is_alive

    @property
    def is_alive(self) -> bool:
        """Whether the process of that pid lives and is a PostgreSQL at work in this directory.

        Where there is no ``/proc`` every living process of that pid is believed to be it.
        """
        pid = self.pid
        if pid is None or not _exists(pid):
            return False
        try:
            return os.path.samefile(f"/proc/{pid}/cwd", self.data)
        except FileNotFoundError:
            return not os.path.exists("/proc/self/cwd")
        except PermissionError:
            return True

    def signal(self, number: int) -> None:
        """Send a signal, if it is alive."""
        pid = self.pid
        if pid is not None and self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _line(self, index: int) -> str:
        try:
            with open(os.path.join(self.data, "postmaster.pid"), "rb") as file:
                lines = file.read().split(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        return os.fsdecode(lines[index]) if index < len(lines) else ""


def stop_server(root: str) -> bool:
    """Stop the server of the folder ``root``; true when none of its processes is left.

    The caller holds ``users.lock`` alone, so nobody starts the server meanwhile.
    """
    postmaster = Postmaster(os.path.join(root, "data"))
    with FileLock(os.path.join(root, "server.lock")) as server:
        directory = postmaster.socket_directory
        stopped = server.try_exclusive() or any(_stop(postmaster, server, *how) for how in STOP_SIGNALS)
    if stopped and directory is not None and _is_temporary(directory):
        _remove_socket_directory(directory)
    return stopped


def _stop(postmaster: Postmaster, server: FileLock, number: int, seconds: float) -> bool:
    for _ in range(int(seconds / REPEAT_SECONDS)):
        postmaster.signal(number)
        if server.wait_exclusive(REPEAT_SECONDS):
            return True
    return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _is_temporary(directory: str) -> bool:
    return os.path.basename(directory).startswith(TEMPORARY_PREFIX)


def _remove_socket_directory(directory: str) -> None:
    for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(directory, name))
    with contextlib.suppress(OSError):
        os.rmdir(directory)


def main(root: str, keeper_fd: int) -> NoReturn:
    """Wait until nobody uses the server of ``root``, stop it, and end.

    ``keeper_fd`` holds ``keeper.lock``. It is given back before ``users.lock``: who then gets in as a user
    must see that there is no keeper any more. ``users.lock`` goes with the process, so who waits for it knows
    that the process is gone.
    """
    users = FileLock(os.path.join(root, "users.lock"))
    fcntl.flock(users.fd, fcntl.LOCK_EX)
    stop_server(root)
    os.close(keeper_fd)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
