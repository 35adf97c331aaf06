"""Other users of an embedded PostgreSQL, its processes, and how to wait for what they do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.embedded.account import server_account
from app.core.embedded.installation import find_installation
from app.core.embedded.keeper import FileLock
from tests.support.postgres import temporary_home

__all__ = [
    "User",
    "all_gone",
    "assert_gone",
    "guarded_home",
    "kill_one",
    "processes_of",
    "query",
    "starts",
    "stranger",
    "wait_until",
]

PROJECT = Path(__file__).resolve().parents[2]
USER = """
import sys
from pathlib import Path
from app.core.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.stdin.readline().rstrip("\\n")))
print(server.start().socket_dir, flush=True)
sys.stdin.readline()
server.stop_using()
"""


class User:
    """Another process that uses the server of ``home``; told by its standard input, so no argument names the home."""

    def __init__(self, home: Path, *, python: str = sys.executable, uid: int | None = None) -> None:
        path = os.pathsep.join((str(PROJECT), str(find_installation().site)))
        environment = {"PATH": os.defpath, "PYTHONPATH": path, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [python, "-c", USER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else (),
        )
        self.tell(str(home))

    def wait_started(self) -> str:
        """Wait until it uses the server; the folder of the socket."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode().rstrip("\n")
        assert line, "the child did not start the server"
        return line

    def leave(self) -> None:
        """Let it stop using the server and end."""
        self.tell("leave")
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        """Kill it so that it cannot clean up."""
        self.process.kill()
        self.process.communicate(timeout=60)

    def tell(self, line: str) -> None:
        """Write one line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()


def processes_of(home: Path, part: str = "") -> list[psutil.Process]:
    """Living processes of the server and the keeper of ``home`` whose command line contains ``part``."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            at_home = str(home) in command or Path(process.cwd()).is_relative_to(home)
            if at_home and part in command and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for ``condition``; a test fails if it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def all_gone(home: Path) -> bool:
    """Whether no process is left."""
    return not processes_of(home)


def assert_gone(home: Path) -> None:
    """No process is left now: none holds a lock, and the kernel has a moment to take them off its list."""
    for path in home.rglob("*.lock"):
        with FileLock(path) as lock:
            assert lock.try_exclusive(), f"somebody holds {path.name}"
    wait_until(lambda: all_gone(home), 1.0)


def kill_one(home: Path, part: str) -> None:
    """``kill -9`` the one process whose command line contains ``part``, and see it gone."""
    found = processes_of(home, part)
    # A child that was forked this moment still bears its parent's command line.
    (victim,) = [process for process in found if process.ppid() not in {one.pid for one in found}]
    victim.kill()
    wait_until(lambda: victim.pid not in {process.pid for process in processes_of(home, part)})


async def query(url: str, *statements: str) -> list[Any]:
    """The first column of each row of the last statement, by way of the URL that TDS itself uses."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            for statement in statements[:-1]:
                await connection.execute(text(statement))
            return [row[0] for row in await connection.execute(text(statements[-1]))]
    finally:
        await engine.dispose()


def starts(home: Path) -> int:
    """How often the server of ``home`` was started, after its log."""
    return (home / "postgres" / "log").read_text().count("starting PostgreSQL")


@contextmanager
def guarded_home() -> Generator[Path]:
    """A home of its own, cleared of processes and files whatever the test did."""
    folder = temporary_home()
    try:
        yield folder
    finally:
        for process in processes_of(folder):
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def stranger() -> Generator[subprocess.Popen[bytes]]:
    """A process of the server's account that has nothing to do with it."""
    account = server_account()
    uid = account.uid if account.switched else None
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd="/", user=uid) as process:
        yield process
