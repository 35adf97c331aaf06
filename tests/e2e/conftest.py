"""``tds`` as its user runs it: processes, in a home of their own that is looked over afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from tests.support.embedded import wait_until
from tests.support.postgres import temporary_home

TDS = (sys.executable, "-m", "app.cli")


class Home:
    """A TDS_HOME, the commands run in it, and the processes that belong to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment: dict[str, str] = {}

    def run(self, *arguments: str, seconds: float = 100) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*TDS, *arguments], env=self._environment(), capture_output=True, text=True, timeout=seconds, check=False
        )

    def json(self, *arguments: str) -> Any:
        """What a command that succeeds prints as JSON."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def started(self, *arguments: str) -> Generator[Command]:
        """A command that goes on; killed at the end if it still does."""
        with (self.path / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [*TDS, *arguments], env=self._environment(), stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert process.stdout is not None
        with process.stdout:
            try:
                yield Command(process, process.stdout)
            finally:
                process.kill()
                process.wait()

    def processes(self) -> list[psutil.Process]:
        """Every living process that was started with this home, or works in it."""
        return [process for process in psutil.process_iter() if process.pid != os.getpid() and self._owns(process)]

    def assert_left(self, seconds: float = 0) -> None:
        """No process is left, or none after so many seconds."""
        if seconds:
            wait_until(lambda: not self.processes(), seconds)
        left = [" ".join(process.cmdline()) for process in self.processes()]
        assert left == []

    def _environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TDS_")}
        return {**kept, "TDS_HOME": str(self.path), **self.environment}

    def _owns(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            named = process.environ().get("TDS_HOME") == str(self.path)
            return named or str(self.path) in " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


class Command:
    """A running command and what it prints."""

    def __init__(self, process: subprocess.Popen[str], output: IO[str]) -> None:
        self.process = process
        self.output = output

    def wait_for(self, matches: Callable[[str], bool]) -> str:
        """The first line that matches."""
        for line in self.output:
            if matches(line):
                return line
        raise AssertionError(f"it ended with {self.process.wait()} and never said it")

    def end(self, number: int) -> int:
        """Send a signal, read what it says last, and return its exit code."""
        self.process.send_signal(number)
        self.output.read()
        return self.process.wait(timeout=60)


@pytest.fixture
def home() -> Generator[Home]:
    """A fresh home; whatever a test leaves behind is ended and removed."""
    made = Home(temporary_home())
    yield made
    for process in made.processes():
        process.kill()
    shutil.rmtree(made.path, ignore_errors=True)
