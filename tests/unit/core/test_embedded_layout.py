"""Where the files of the embedded PostgreSQL are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.core.embedded.connection import ConnectionInfo
from app.core.embedded.keeper import SOCKET_NAME
from app.core.embedded.layout import SOCKET_PATH_LIMIT, Layout


class TestBelow:
    """The layout of a home."""

    def test_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A relative home means the folder it names now, whatever the current folder is later."""
        monkeypatch.chdir(tmp_path)
        assert Layout.below(Path("a/../home")).root == tmp_path / "home" / "postgres"

    def test_keeps_all_files_in_one_folder(self) -> None:
        """Whoever removes the folder has removed everything."""
        layout = Layout.below(Path("/home"))
        files = (layout.data, layout.run, layout.log, layout.users_lock, layout.start_lock, layout.keeper_lock)
        assert {file.parent for file in (*files, layout.server_lock)} == {Path("/home/postgres")}


class TestRunIsUsable:
    """Which paths a socket can have."""

    @pytest.mark.skipif(sys.platform != "linux", reason="the limit is the kernel's")
    def test_counts_bytes_up_to_the_limit(self) -> None:
        """A path of exactly the limit is taken, one byte more is not."""
        fixed = len(f"//postgres/run/{SOCKET_NAME}")
        fits = Layout.below(Path("/" + "a" * (SOCKET_PATH_LIMIT - fixed)))
        assert len(str(fits.run / SOCKET_NAME)) == SOCKET_PATH_LIMIT
        assert fits.run_is_usable
        assert not Layout.below(Path("/" + "a" * (SOCKET_PATH_LIMIT - fixed + 1))).run_is_usable

    def test_counts_an_arabic_letter_as_two_bytes(self) -> None:
        """The limit is in bytes, not in letters."""
        assert Layout.below(Path("/" + "ش" * 30)).run_is_usable
        assert not Layout.below(Path("/" + "ش" * 60)).run_is_usable

    @pytest.mark.parametrize("name", ["a,b", "a:b", 'a"b', "a\\b", "a@b", "a\nb"])
    def test_refuses_what_clients_take_for_something_else(self, name: str) -> None:
        """Lists of hosts, ports and abstract sockets are written with characters that a folder may have."""
        assert not Layout.below(Path("/") / name).run_is_usable

    @pytest.mark.parametrize("name", ["a b", "it's", "متجر", "a%20b", "$HOME"])
    def test_takes_spaces_quotes_and_any_letter(self, name: str) -> None:
        """Ordinary names are no reason to go elsewhere."""
        assert Layout.below(Path("/") / name).run_is_usable


class TestUrl:
    """The address of a database."""

    def test_names_the_socket_folder_as_host(self) -> None:
        """The shape that SQLAlchemy and asyncpg read."""
        info = ConnectionInfo(Path("/srv/tds/postgres/run"), "postgres")
        assert info.url("tds") == "postgresql+asyncpg://postgres@/tds?host=/srv/tds/postgres/run&port=5432"

    def test_quotes_what_a_url_would_misread(self) -> None:
        """Spaces, ampersands and letters beyond ASCII survive."""
        url = ConnectionInfo(Path("/a b&c/م"), "postgres").url("x/y")
        assert url == "postgresql+asyncpg://postgres@/x%2Fy?host=/a%20b%26c/%D9%85&port=5432"
