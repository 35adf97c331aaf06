"""Settings: what they default to, and how a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.config import DatabaseSettings, Settings, default_home
from app.core.database import Database
from app.core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ``.env`` of somebody's."""
    monkeypatch.chdir(tmp_path)


class TestLoad:
    """Reading the environment."""

    def test_a_blank_home_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``TDS_HOME=`` is not the current folder."""
        monkeypatch.setenv("TDS_HOME", "")
        assert Settings.load().home == default_home()

    @pytest.mark.parametrize(
        ("name", "value", "told"),
        [
            ("TDS_HOME", "here", "TDS_HOME: must be an absolute path"),
            ("TDS_QUEUE_BATCH_SIZE", "many", "TDS_QUEUE_BATCH_SIZE: "),
            ("TDS_DATABASE_URL", "mysql://h/d", "TDS_DATABASE_URL: must start with postgresql://"),
            ("TDS_RETRY_ENTITIES", "{nojson", "takes JSON"),
        ],
    )
    def test_a_wrong_value_is_named(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
        """One line with the variable, and what it must be."""
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError) as refused:
            Settings.load()
        assert told in refused.value.message

    def test_the_file_is_read(self, tmp_path: Path) -> None:
        """``.env`` in the current folder."""
        (tmp_path / ".env").write_text("TDS_QUEUE_BATCH_SIZE=7\n")
        assert Settings.load().queue.batch_size == 7


class TestDatabaseUrl:
    """URLs that cannot be read."""

    @pytest.mark.parametrize("url", ["postgresql://h:abc/x", "postgresql://[::1/x"])
    def test_is_refused_by_name(self, url: str) -> None:
        """The variable is named, and no parser's own words stand alone."""
        with pytest.raises(ConfigurationError, match="TDS_DATABASE_URL"):
            Database(url, DatabaseSettings())
