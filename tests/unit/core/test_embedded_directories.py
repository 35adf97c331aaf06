"""The folders of the embedded PostgreSQL."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from app.core.embedded.account import environment, this_account
from app.core.embedded.directories import check_data, create_directories, prepare_root
from app.core.embedded.errors import DataDirectoryError, PostgresNotInstalledError, PostgresStartError
from app.core.embedded.installation import find_installation
from app.core.embedded.layout import Layout


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _data(tmp_path: Path, version: str | None) -> Layout:
    layout = Layout.below(tmp_path)
    layout.data.mkdir(parents=True)
    if version is not None:
        (layout.data / "PG_VERSION").write_text(f"{version}\n", encoding="ascii")
    return layout


class TestCreateDirectories:
    """Folders are made, and never changed."""

    def test_makes_all_that_is_missing_with_the_mode_whatever_the_umask(self, tmp_path: Path) -> None:
        """A strict umask would keep the server's account out of what we make for it."""
        before = os.umask(0o077)
        try:
            create_directories(tmp_path / "a" / "b", 0o755)
        finally:
            os.umask(before)
        assert (_mode(tmp_path / "a"), _mode(tmp_path / "a" / "b")) == (0o755, 0o755)

    def test_leaves_what_exists_as_it_is(self, tmp_path: Path) -> None:
        """Neither the folder itself nor those above it change their mode."""
        (tmp_path / "a").mkdir(0o750)
        create_directories(tmp_path / "a", 0o755)
        create_directories(tmp_path / "a" / "b", 0o755)
        assert (_mode(tmp_path), _mode(tmp_path / "a")) == (0o700, 0o750)

    def test_refuses_a_file_in_its_place(self, tmp_path: Path) -> None:
        """A file is not taken for a folder."""
        (tmp_path / "a").touch()
        with pytest.raises(FileExistsError):
            create_directories(tmp_path / "a", 0o755)


class TestPrepareRoot:
    """The folder that holds everything."""

    def test_is_private_to_an_ordinary_user(self, tmp_path: Path) -> None:
        """Nobody else gets in."""
        layout = Layout.below(tmp_path / "home")
        prepare_root(layout, this_account())
        assert _mode(layout.root) == 0o700

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_refuses_the_folder_of_somebody_else(self, tmp_path: Path) -> None:
        """Two users in one folder would lock each other out: the error names both and the folder."""
        layout = Layout.below(tmp_path)
        layout.root.mkdir()
        os.chown(layout.root, 65534, 65534)
        with pytest.raises(DataDirectoryError, match=r"belongs to .*, not to root") as caught:
            prepare_root(layout, this_account())
        assert caught.value.directory == layout.root


class TestCheckData:
    """What is accepted as a data directory."""

    @pytest.mark.parametrize("exists", [True, False])
    def test_is_to_be_made_where_nothing_is(self, tmp_path: Path, *, exists: bool) -> None:
        """A missing folder and an empty one are both no data directory yet."""
        layout = _data(tmp_path, None) if exists else Layout.below(tmp_path)
        assert not check_data(layout, this_account(), "18")

    def test_accepts_our_version(self, tmp_path: Path) -> None:
        """The usual case."""
        assert check_data(_data(tmp_path, "18"), this_account(), "18")

    def test_refuses_another_version_and_says_what_to_do(self, tmp_path: Path) -> None:
        """The message names the folder, both versions and the ways out, in one line."""
        layout = _data(tmp_path, "16")
        with pytest.raises(DataDirectoryError) as caught:
            check_data(layout, this_account(), "18")
        message = caught.value.message
        parts = (str(layout.data), "PostgreSQL 16", "PostgreSQL 18", "pg_dumpall", "TDS_HOME", "TDS_DATABASE_URL")
        assert [part for part in parts if part not in message] == []
        assert "\n" not in message

    def test_refuses_a_folder_of_other_things(self, tmp_path: Path) -> None:
        """What is not ours is not overwritten."""
        layout = _data(tmp_path, None)
        (layout.data / "letter.txt").touch()
        with pytest.raises(DataDirectoryError, match="no data directory"):
            check_data(layout, this_account(), "18")


class TestEnvironment:
    """What the programs of PostgreSQL are told by the environment."""

    def test_has_no_postgresql_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``PGPORT`` and its kin are for somebody else's server."""
        monkeypatch.setenv("PGPORT", "1")
        monkeypatch.setenv("PGDATA", "/nowhere")
        assert not [name for name in environment() if name.startswith("PG")]


class TestFindInstallation:
    """Where the programs are."""

    def test_finds_the_wheel_without_importing_it(self) -> None:
        """The programs are there; the wheel's own code is not run."""
        assert Path(find_installation().program("postgres")).is_file()

    def test_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the wheel the error names the extra and the variable."""
        monkeypatch.setattr("sys.path", [])
        monkeypatch.setattr("sys.path_importer_cache", {})
        with pytest.raises(PostgresNotInstalledError, match=r"tsh-data-sync\[embedded\] or set TDS_DATABASE_URL"):
            find_installation()


class TestPostgresStartError:
    """What is said when the server does not start."""

    def test_shows_the_line_that_tells_most(self) -> None:
        """The last fatal line, not the last one."""
        tail = "LOG: starting\n2026 [1] FATAL:  no space left\n2026 [1] LOG:  database system is shut down\n"
        error = PostgresStartError(Path("/x/log"), tail)
        assert error.message == "The embedded PostgreSQL did not start: 2026 [1] FATAL:  no space left (log: /x/log)"
        assert error.log_tail == tail
