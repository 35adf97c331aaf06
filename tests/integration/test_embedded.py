"""The embedded PostgreSQL, alive: shared, killed in every way, and in awkward places."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.embedded import (
    ConnectionInfo,
    DataDirectoryError,
    EmbeddedPostgres,
    EmbeddedPostgresError,
    PostgresStartError,
)
from app.core.embedded.account import server_account
from app.core.embedded.installation import find_installation
from tests.support.embedded import (
    User,
    all_gone,
    assert_gone,
    guarded_home,
    processes_of,
    query,
    starts,
    wait_until,
)
from tests.support.postgres import temporary_home

pytestmark = pytest.mark.integration


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of this test's own."""
    with guarded_home() as folder:
        yield folder


@pytest.fixture(scope="class")
def shared() -> Iterator[ConnectionInfo]:
    """One server for tests that only ask."""
    folder = temporary_home()
    with EmbeddedPostgres(folder) as server:
        yield server.start()
    shutil.rmtree(folder)


class TestStart:
    """Starting, sharing, leaving."""

    async def test_serves_and_leaves_no_process(self, home: Path) -> None:
        """A database can be used while the server is in use, and nothing runs afterwards."""
        with EmbeddedPostgres(home) as server:
            server.ensure_database("tds")
            server.ensure_database("tds")
            assert await query(server.start().url("tds"), "SELECT current_database()") == ["tds"]
        assert_gone(home)

    @pytest.mark.parametrize(
        ("question", "answer"),
        [
            ("SHOW listen_addresses", ""),
            ("SHOW fsync", "on"),
            ("SHOW synchronous_commit", "on"),
            ("SHOW data_checksums", "on"),
            ("SHOW jit", "off"),
            ("SHOW TimeZone", "UTC"),
            ("SHOW unix_socket_permissions", "0700"),
            ("SHOW server_encoding", "UTF8"),
            ("SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'postgres'", "bC.UTF-8"),
        ],
    )
    async def test_is_safe_by_default(self, shared: ConnectionInfo, question: str, answer: str) -> None:
        """Nothing listens on the network, what is committed is on disk, and texts sort alike everywhere."""
        assert await query(shared.url("postgres"), question) == [answer]

    async def test_takes_settings(self, home: Path) -> None:
        """Settings of the caller win over ours."""
        with EmbeddedPostgres(home, settings={"fsync": "off"}) as server:
            assert await query(server.start().url("postgres"), "SHOW fsync") == ["off"]

    async def test_makes_databases_of_any_name(self, home: Path) -> None:
        """A name is a name, not SQL."""
        name = 'it\'s "my" متجر; --'
        with EmbeddedPostgres(home) as server:
            server.ensure_database(name)
            found = await query(server.start().url("postgres"), "SELECT datname FROM pg_database")
        assert name in found

    def test_several_objects_in_one_process_are_several_users(self, home: Path) -> None:
        """The first to leave does not stop the server under the other."""
        first, second = EmbeddedPostgres(home), EmbeddedPostgres(home)
        assert first.start() == second.start()
        first.stop_using()
        assert processes_of(home, "/bin/postgres")
        second.stop_using()
        assert_gone(home)
        assert starts(home) == 1

    def test_processes_share_one_server_and_the_last_stops_it(self, home: Path) -> None:
        """Another process meets the same server, and keeps it when we leave."""
        with EmbeddedPostgres(home) as server:
            user = User(home)
            assert user.wait_started() == str(server.start().socket_dir)
        assert processes_of(home, "/bin/postgres")
        user.leave()
        assert_gone(home)
        assert starts(home) == 1

    def test_starts_once_for_four_at_the_same_time(self, home: Path) -> None:
        """Processes that race for a home that is not even there get one server."""
        users = [User(home) for _ in range(4)]
        assert len({user.wait_started() for user in users}) == 1
        assert len(processes_of(home, "keeper.py")) == 1
        for user in users:
            user.leave()
        assert_gone(home)
        assert starts(home) == 1

    def test_four_that_leave_at_the_same_time_leave_nothing(self, home: Path) -> None:
        """However their ends interleave, one of them stops the server before it ends."""
        users = [User(home) for _ in range(4)]
        for user in users:
            user.wait_started()
        for user in users:
            user.tell("leave")
        for user in users:
            user.process.communicate(timeout=60)
        assert_gone(home)

    def test_starts_again_after_a_stop(self, home: Path) -> None:
        """The same object can be used again."""
        server = EmbeddedPostgres(home)
        for _ in range(2):
            server.start()
            server.stop_using()
        server.stop_using()
        assert_gone(home)
        assert starts(home) == 2

    def test_keeps_the_log_small(self, home: Path) -> None:
        """A log of more than 10 MB is put aside at the next start."""
        with EmbeddedPostgres(home):
            pass
        log = home / "postgres" / "log"
        with log.open("ab") as file:
            file.truncate(10 * 1024 * 1024 + 1)
        with EmbeddedPostgres(home):
            assert log.stat().st_size < 10_000


class TestPaths:
    """Homes with awkward names."""

    @pytest.mark.parametrize("name", ["with space", "متجر المدينة", 'it\'s "$HOME" `x`;', "a,b:c", "x" * 120])
    async def test_works_in_any_folder(self, home: Path, name: str) -> None:
        """Spaces, quotes, other alphabets, what clients take for lists, and paths too long for a socket."""
        with EmbeddedPostgres(home / name) as server:
            server.ensure_database("tds")
            assert await query(server.start().url("tds"), "SELECT 1") == [1]
        assert_gone(home)

    def test_removes_the_short_folder_of_a_long_path(self, home: Path) -> None:
        """Nothing stays in the system's temporary folder, whoever stops the server."""
        with EmbeddedPostgres(home / ("x" * 120)) as server:
            folder = server.start().socket_dir
            assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IRWXU
        assert not folder.exists()
        user = User(home / ("x" * 120))
        folder = Path(user.wait_started())
        user.kill()
        wait_until(lambda: not folder.exists())

    async def test_ignores_variables_for_other_servers(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """``PGPORT`` and the like, set for another server, change nothing here."""
        for name, value in {"PGDATA": "/nowhere", "PGHOST": "db.invalid", "PGDATABASE": "x", "PGUSER": "x"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PGPORT", "6543")
        with EmbeddedPostgres(home) as server:
            server.ensure_database("tds")
            assert await query(server.start().url("tds"), "SELECT current_user::text") == ["postgres"]


class TestRefusals:
    """What it does not do, and how it says so."""

    def test_of_another_version(self, home: Path) -> None:
        """Data of another version are refused, and nothing is left running."""
        with EmbeddedPostgres(home):
            pass
        (home / "postgres" / "data" / "PG_VERSION").write_text("16\n")
        with pytest.raises(DataDirectoryError, match=r"was made by PostgreSQL 16, and this is PostgreSQL 18"):
            EmbeddedPostgres(home).start()
        wait_until(lambda: all_gone(home))

    def test_of_a_server_that_others_started(self, home: Path) -> None:
        """A PostgreSQL that runs in our folder without us is neither used nor stopped."""
        with EmbeddedPostgres(home):
            pass
        data, run = home / "postgres" / "data", home / "postgres" / "run"
        argv = [find_installation().program("pg_ctl"), "start", "-w", "-D", str(data)]
        options = f"-c listen_addresses= -c unix_socket_directories={run}"
        server_account().run([*argv, "-o", options], output=subprocess.DEVNULL)
        with pytest.raises(DataDirectoryError, match=r"that TDS did not start \(process \d+\)"):
            EmbeddedPostgres(home).start()
        wait_until(lambda: not processes_of(home, "keeper.py"))
        assert processes_of(home, "/bin/postgres")

    def test_of_a_setting_that_postgresql_does_not_know(self, home: Path) -> None:
        """The error is one line with PostgreSQL's own reason, the log's tail is with it, and nothing is left."""
        with pytest.raises(PostgresStartError, match="shared_buffers") as caught:
            EmbeddedPostgres(home, settings={"shared_buffers": "a lot"}).start()
        assert "\n" not in caught.value.message
        assert "shared_buffers" in caught.value.log_tail
        wait_until(lambda: all_gone(home))

    def test_of_a_place_that_cannot_be_written(self) -> None:
        """The error names the place and the reason in one line."""
        with pytest.raises(EmbeddedPostgresError, match=r"cannot use /proc/tds.*: No such file"):
            EmbeddedPostgres(Path("/proc/tds")).start()

    def test_of_a_database_before_the_start(self, home: Path) -> None:
        """There is nothing to make it in."""
        with pytest.raises(EmbeddedPostgresError, match="not started"):
            EmbeddedPostgres(home).ensure_database("tds")
