"""The keeper's own means: locks that tell who lives, and what ``postmaster.pid`` is worth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.embedded.keeper import PROGRAM, FileLock, Postmaster, stop_server


def _pid_file(data: Path, pid: int, status: str = "ready   ") -> Postmaster:
    lines = [str(pid), str(data), "1700000000", "5432", "/run/s ock", "", "  1 2", status, ""]
    (data / "postmaster.pid").write_text("\n".join(lines), encoding="utf-8")
    return Postmaster(str(data))


class TestFileLock:
    """One lock on one file."""

    def test_is_shared_by_many_and_then_by_nobody_alone(self, tmp_path: Path) -> None:
        """Two may share; a third cannot have it alone until both are gone."""
        path = tmp_path / "lock"
        with FileLock(path) as third:
            with FileLock(path) as first, FileLock(path) as second:
                assert first.try_shared()
                assert second.try_shared()
                assert not third.try_exclusive()
            assert third.try_exclusive()

    def test_waits_no_longer_than_told(self, tmp_path: Path) -> None:
        """A lock that somebody keeps is reported, not waited for without end."""
        with FileLock(tmp_path / "lock") as first, FileLock(tmp_path / "lock") as second:
            assert first.try_exclusive()
            assert not second.wait_shared(0.03)

    def test_is_not_inherited_by_programs(self, tmp_path: Path) -> None:
        """A child that outlives us does not keep our lock."""
        with FileLock(tmp_path / "lock") as lock:
            assert not os.get_inheritable(lock.fd)

    def test_passed_on_lives_as_long_as_the_child(self, tmp_path: Path) -> None:
        """A lock handed to a child is held until that child ends."""
        with FileLock(tmp_path / "lock") as probe:
            with FileLock(tmp_path / "lock") as lock:
                assert lock.try_exclusive()
                child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(lock.fd,))
            assert not probe.try_exclusive()
            child.communicate()
            assert probe.try_exclusive()


class TestPostmaster:
    """What ``postmaster.pid`` tells."""

    def test_knows_nothing_without_the_file(self, tmp_path: Path) -> None:
        """No file, no server."""
        found = Postmaster(str(tmp_path / "none"))
        assert (found.pid, found.socket_directory, found.is_ready) == (None, None, False)

    def test_survives_a_file_that_is_being_written(self, tmp_path: Path) -> None:
        """Lines that are not there yet are no error."""
        (tmp_path / "postmaster.pid").write_text("12\n", encoding="utf-8")
        found = Postmaster(str(tmp_path))
        assert (found.pid, found.socket_directory, found.is_ready) == (12, None, False)

    @pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc")
    def test_does_not_believe_a_pid_that_is_somebody_else(self, tmp_path: Path) -> None:
        """After a reboot the pid may be anybody's: here it is this test's own."""
        found = _pid_file(tmp_path, os.getpid())
        assert (found.pid, found.is_alive, found.is_ready) == (os.getpid(), False, False)

    @pytest.mark.parametrize(("status", "ready"), [("ready   ", True), ("starting", False), ("stopping", False)])
    def test_is_ready_by_its_status(self, tmp_path: Path, status: str, ready: bool) -> None:  # noqa: FBT001
        """A living process in that folder is ready if its status says so."""
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd=tmp_path) as child:
            found = _pid_file(tmp_path, child.pid, status)
            assert found.is_alive
            assert found.is_ready is ready
            assert found.socket_directory == "/run/s ock"


class TestStopServer:
    """How the server is stopped."""

    def test_signals_nobody_if_no_server_runs(self, tmp_path: Path) -> None:
        """A stale pid that names a living process in that very folder is left in peace: the lock is free."""
        (tmp_path / "data").mkdir()
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd=tmp_path / "data") as child:
            _pid_file(tmp_path / "data", child.pid)
            assert stop_server(str(tmp_path))
            assert child.poll() is None


class TestMain:
    """The keeper as a program."""

    def test_loads_little(self, tmp_path: Path) -> None:
        """It imports neither TDS nor the heavy parts of the standard library, so it is up in no time."""
        code = "import sys; p = sys.argv[1]; exec(open(p).read(), {'__file__': p, '__name__': ''}); print(*sys.modules)"
        argv = [sys.executable, "-I", "-S", "-c", code, PROGRAM]
        loaded = set(subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split())
        assert not loaded & {"app", "subprocess", "pathlib", "asyncio", "typing"}

    def test_ends_when_nobody_is_left(self, tmp_path: Path) -> None:
        """It waits as long as somebody holds ``users.lock``, and gives ``keeper.lock`` back at its end."""
        with FileLock(tmp_path / "users.lock") as user, FileLock(tmp_path / "keeper.lock") as probe:
            user.try_shared()
            with FileLock(tmp_path / "keeper.lock") as lock:
                lock.try_exclusive()
                argv = [sys.executable, "-I", "-S", PROGRAM, str(tmp_path), str(lock.fd)]
                keeper = subprocess.Popen(argv, pass_fds=(lock.fd,))
            assert not probe.wait_shared(0.1)
            user.close()
            assert keeper.wait(timeout=20) == 0
            assert probe.try_exclusive()
