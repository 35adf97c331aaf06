"""A mistake ends in one line that says what to do, and in the right exit code."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError
from typer.testing import Result

from app.cli.failures import explain
from app.core.errors import NotFoundError
from tests.unit.cli.conftest import Tds


def _one_line(result: Result) -> str:
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert result.stdout == ""
    assert lines[0].startswith("error: ")
    return lines[0]


class TestCommands:
    """What commands raise, as their user sees it."""

    def test_name_the_host_of_a_database_and_never_the_password(
        self, tds: Tds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A database that does not answer is named without its password; exit 1."""
        monkeypatch.setenv("TDS_DATABASE_URL", "postgresql://user:hush@127.0.0.1:1/shop")
        result = tds("status")
        line = _one_line(result)
        assert result.exit_code == 1
        assert "127.0.0.1:1/shop" in line
        assert "TDS_DATABASE_URL" in line
        assert "hush" not in line

    def test_show_the_traceback_when_debugging(self, tds: Tds, monkeypatch: pytest.MonkeyPatch) -> None:
        """TDS_LOG_LEVEL=debug shows where an error comes from, and still no password."""
        monkeypatch.setenv("TDS_DATABASE_URL", "postgresql://user:hush@127.0.0.1:1/shop")
        monkeypatch.setenv("TDS_LOG_LEVEL", "debug")
        result = tds("status")
        assert "Traceback" in result.stderr
        assert "hush" not in result.stderr

    def test_name_a_setting_that_cannot_be_used(self, tds: Tds, monkeypatch: pytest.MonkeyPatch) -> None:
        """A wrong setting is named; exit 1."""
        monkeypatch.setenv("TDS_QUEUE_BATCH_SIZE", "many")
        result = tds("status")
        assert "TDS_QUEUE_BATCH_SIZE" in _one_line(result)
        assert result.exit_code == 1

    def test_tell_of_a_schema_that_is_behind(
        self, tds: Tds, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another's database is not upgraded unasked; the command that does it is named."""
        monkeypatch.setenv("TDS_DATABASE_URL", empty_database_url)
        result = tds("status")
        assert "tds db upgrade" in _one_line(result)
        assert result.exit_code == 1

    @pytest.mark.parametrize(
        "arguments",
        [["nonsense"], ["show", "vendor", "1"], ["serve", "--port", "99999"], ["dead-letter", "resolve", "abcdef"]],
        ids=" ".join,
    )
    def test_exit_2_for_wrong_usage(self, tds: Tds, arguments: list[str]) -> None:
        """What the parser refuses ends with 2."""
        assert tds(*arguments).exit_code == 2

    def test_tell_what_listens_on_the_port(self, tds: Tds, taken_port: int) -> None:
        """A port in use is named, and the option that chooses another."""
        result = tds("serve", "--port", str(taken_port))
        line = _one_line(result)
        assert result.exit_code == 1
        assert str(taken_port) in line
        assert "--port" in line


class TestExplain:
    """``explain``."""

    def test_is_the_message_of_an_error_of_ours(self) -> None:
        """On one line, whatever the message."""
        assert explain(NotFoundError("there is\nnothing")) == "there is nothing"

    def test_leaves_the_statement_out(self) -> None:
        """Of an error of the database its reason is told, not the SQL and not its values."""
        error = OperationalError("SELECT secret", {"value": "hush"}, Exception("disk full"))
        assert explain(error).startswith("the database says: disk full")
        assert "SELECT" not in explain(error)

    def test_masks_credentials(self) -> None:
        """An address in an error loses its password."""
        assert "hush" not in explain(RuntimeError("cannot reach https://user:hush@api.example"))

    def test_takes_the_first_of_a_group(self) -> None:
        """A group of errors is told as its first one, however deep."""
        group = ExceptionGroup("tasks", [ExceptionGroup("inner", [NotFoundError("no such run")]), ValueError("x")])
        assert explain(group) == "no such run"
