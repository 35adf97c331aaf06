"""The embedded PostgreSQL under ``kill -9`` of whatever there is, and under root."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.embedded import ConnectionInfo, DataDirectoryError, EmbeddedPostgres
from app.core.embedded.account import ACCOUNT_NAME, server_account
from app.core.embedded.installation import MODULE, find_installation, reachable_installation
from tests.support.embedded import (
    User,
    all_gone,
    assert_gone,
    guarded_home,
    kill_one,
    processes_of,
    query,
    stranger,
    wait_until,
)

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SYSTEM_PYTHON = Path("/usr/bin/python3")
NOBODY = 65534


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of this test's own."""
    with guarded_home() as folder:
        yield folder


class TestKill:
    """``kill -9``, of whatever there is."""

    def test_of_one_user_does_not_keep_the_server_up(self, home: Path) -> None:
        """The killed one is not counted: the other is the last, and stops the server."""
        killed, other = User(home), User(home)
        killed.wait_started()
        other.wait_started()
        killed.kill()
        assert processes_of(home, "/bin/postgres")
        other.leave()
        assert_gone(home)

    def test_of_the_only_user_ends_the_server(self, home: Path) -> None:
        """The keeper sees to it, and ends itself."""
        user = User(home)
        user.wait_started()
        user.kill()
        wait_until(lambda: all_gone(home))
        assert "database system is shut down" in (home / "postgres" / "log").read_text()

    def test_of_the_keeper_is_made_good_by_the_next_user(self, home: Path) -> None:
        """Who comes next starts a new keeper, which does its work."""
        first = User(home)
        first.wait_started()
        kill_one(home, "keeper.py")
        second = User(home)
        second.wait_started()
        assert len(processes_of(home, "keeper.py")) == 1
        first.kill()
        second.kill()
        wait_until(lambda: all_gone(home))

    def test_of_the_keeper_does_not_hinder_the_end(self, home: Path) -> None:
        """The last user stops the server with or without a keeper."""
        user = User(home)
        user.wait_started()
        kill_one(home, "keeper.py")
        user.leave()
        assert_gone(home)

    async def test_of_everything_keeps_what_was_committed(self, home: Path) -> None:
        """Keeper, server and user are killed: the next start finds the data."""
        user = User(home)
        url = ConnectionInfo(Path(user.wait_started()), "postgres").url("postgres")
        await query(url, "CREATE TABLE kept AS SELECT 7 AS n", "SELECT 1")
        kill_one(home, "keeper.py")
        kill_one(home, "/bin/postgres")
        user.kill()
        with EmbeddedPostgres(home) as server:
            assert await query(server.start().url("postgres"), "SELECT n FROM kept") == [7]
        assert_gone(home)

    async def test_of_the_server_is_mended_by_starting_again(self, home: Path) -> None:
        """A user whose server was killed calls start() once more, at the same address."""
        with EmbeddedPostgres(home) as server:
            before = server.start()
            kill_one(home, "/bin/postgres")
            assert server.start() == before
            assert await query(before.url("postgres"), "SELECT 1") == [1]
        assert_gone(home)

    async def test_leaves_a_pid_that_somebody_else_has_now(self, home: Path) -> None:
        """After a reboot the pid of the dead server may be that of any process of ours: here of a child."""
        with EmbeddedPostgres(home) as server:
            server.start()
            pid_file = home / "postgres" / "data" / "postmaster.pid"
            lines = pid_file.read_text().splitlines()
            kill_one(home, "/bin/postgres")
        with stranger() as process:
            pid_file.write_text("\n".join([str(process.pid), *lines[1:], ""]))
            with EmbeddedPostgres(home) as server:
                assert await query(server.start().url("postgres"), "SELECT 1") == [1]
            assert process.poll() is None

    def test_during_the_first_start_leaves_nothing_half_made(self, home: Path) -> None:
        """A start that was killed while it made the data directory is made up for by the next."""
        user = User(home)
        wait_until(lambda: any((home / "postgres").glob("data.init-*/base")))
        user.kill()
        with EmbeddedPostgres(home):
            assert not list((home / "postgres").glob("data.init-*"))
        assert_gone(home)

    def test_of_a_user_that_is_just_leaving(self, home: Path) -> None:
        """A user that is killed while it stops the server: the keeper goes on, and the next start waits for it."""
        user = User(home)
        user.wait_started()
        user.tell("leave")
        user.kill()
        with EmbeddedPostgres(home):
            assert len(processes_of(home, "keeper.py")) == 1
        assert_gone(home)


class TestSignal:
    """Signals that are meant for the user."""

    def test_of_the_terminal_does_not_reach_the_server(self, home: Path) -> None:
        """Ctrl-C in the terminal reaches the user, who leaves in order; the server and the keeper do not see it."""
        user = User(home)
        user.wait_started()
        os.killpg(user.process.pid, signal.SIGINT)
        user.process.communicate(timeout=60)
        wait_until(lambda: all_gone(home))
        assert "database system is shut down" in (home / "postgres" / "log").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
class TestRoot:
    """Under root."""

    def test_runs_the_server_as_its_account(self, home: Path) -> None:
        """Not as root; and the data are the account's alone."""
        with EmbeddedPostgres(home):
            assert {process.username() for process in processes_of(home, "postgres:")} == {ACCOUNT_NAME}
        data = home / "postgres" / "data"
        assert (data.owner(), stat.S_IMODE(data.stat().st_mode)) == (ACCOUNT_NAME, 0o700)

    def test_changes_no_folder_above(self, home: Path) -> None:
        """Modes and owners of all folders above stay what they were."""
        parent = home / "a" / "b"
        parent.mkdir(parents=True, mode=0o711)
        (home / "a").chmod(0o751)
        above = [*parent.parents, parent]
        before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in above]
        with EmbeddedPostgres(parent / "home"):
            pass
        assert [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in above] == before

    def test_refuses_a_home_that_the_account_cannot_reach(self, home: Path) -> None:
        """A folder of mode 0700 above is left so; the error says what to do instead."""
        private = home / "private"
        private.mkdir(mode=0o700)
        with pytest.raises(DataDirectoryError, match="cannot enter it: set TDS_HOME to a folder below /var/lib/tds"):
            EmbeddedPostgres(private / "home").start()
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        wait_until(lambda: all_gone(home))

    def test_copies_programs_that_the_account_cannot_reach(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installation below a private folder is copied once, readable to all whatever its own modes were."""
        private, library = home / "private", home / "var" / "lib"
        private.mkdir(mode=0o700)
        for folder in find_installation().site.glob(f"{MODULE}*"):
            shutil.copytree(folder, private / folder.name)
        monkeypatch.setattr("sys.path", [str(private), *sys.path])
        account = server_account()
        first = reachable_installation(account, library)
        assert first.site.parent == library
        assert first.is_usable_by(account)
        made = first.site.stat().st_ino
        assert reachable_installation(account, library).site.stat().st_ino == made
        assert not list(library.glob(".copy-*"))

    @pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="needs a Python that everybody can run")
    def test_an_ordinary_user_runs_it_as_himself(self, home: Path) -> None:
        """Without root there is no account: everything is the user's own and private to him."""
        own = home / "nobody"
        own.mkdir(mode=0o700)
        os.chown(own, NOBODY, NOBODY)
        user = User(own, python=str(SYSTEM_PYTHON), uid=NOBODY)
        user.wait_started()
        processes = processes_of(own)
        assert {process.uids().real for process in processes} == {NOBODY}
        assert {path.stat().st_uid for path in (own / "postgres").iterdir()} == {NOBODY}
        assert stat.S_IMODE((own / "postgres").stat().st_mode) == stat.S_IRWXU
        user.kill()
        wait_until(lambda: all_gone(own))
