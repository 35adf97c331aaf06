"""SQL files are described and in use: the gate refuses others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.lint.statements import FOLDER, main, names_in, offences

ROOT = Path(__file__).parents[2]
HEADER = "-- Claims the next items.\n-- locks: the rows it returns\n-- index: ix_queue_pending\nSELECT 1\n"


def _plant(root: Path, name: str, source: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")


def _statement(root: Path, source: str, *, user: str = 'statement("claim")\n') -> None:
    _plant(root, "app/tds/sql/claim.sql", source)
    _plant(root, "app/tds/core/queue.py", user)


class TestNamesIn:
    """Which statements a module runs."""

    def test_finds_names_called_plainly_and_through_a_module(self) -> None:
        """Both ways of calling the loader count."""
        assert list(names_in('statement("a")\nsql.statement("b")\n')) == ["a", "b"]

    def test_passes_over_other_calls(self) -> None:
        """Another function's text is no statement."""
        assert list(names_in('other("a")\nstatement(name)\nstatement(1)\n')) == []


class TestOffences:
    """What is refused."""

    def test_accepts_a_described_statement_in_use(self, tmp_path: Path) -> None:
        """Purpose, locks, index and a caller: all is there."""
        _statement(tmp_path, HEADER)
        assert offences(tmp_path) == []

    @pytest.mark.parametrize("opening", ["-- locks:", "-- index:"])
    def test_refuses_a_header_without_a_line(self, tmp_path: Path, opening: str) -> None:
        """Neither locks nor index may go unsaid."""
        _statement(tmp_path, "".join(line for line in HEADER.splitlines(keepends=True) if not line.startswith(opening)))
        assert offences(tmp_path) == [f"{FOLDER}/claim.sql: the header has no line '{opening} ...'"]

    def test_refuses_a_line_that_says_nothing(self, tmp_path: Path) -> None:
        """An empty ``locks`` is no description."""
        _statement(tmp_path, HEADER.replace(" the rows it returns", ""))
        assert offences(tmp_path) == [f"{FOLDER}/claim.sql: the header has no line '-- locks: ...'"]

    def test_refuses_a_header_without_a_purpose(self, tmp_path: Path) -> None:
        """The first line says what the statement is for."""
        _statement(tmp_path, HEADER.split("\n", 1)[1])
        assert offences(tmp_path) == [f"{FOLDER}/claim.sql: the first line must be a comment that says what it is for"]

    def test_refuses_a_statement_that_nobody_runs(self, tmp_path: Path) -> None:
        """Dead SQL is deleted."""
        _statement(tmp_path, HEADER, user="x = 1\n")
        assert offences(tmp_path) == [f"{FOLDER}/claim.sql: no code runs it"]

    def test_refuses_a_name_without_a_statement(self, tmp_path: Path) -> None:
        """A name that is misspelt is found before it is run."""
        _statement(tmp_path, HEADER, user='statement("claim")\nstatement("clam")\n')
        assert offences(tmp_path) == [f"{FOLDER}/clam.sql: is run, and does not exist"]


class TestMain:
    """The command, and this tree."""

    def test_ends_with_1_and_prints_the_offender(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A refusal can be read and fails the build."""
        _statement(tmp_path, "SELECT 1\n")
        assert main([str(tmp_path)]) == 1
        assert "claim.sql" in capsys.readouterr().out

    def test_accepts_the_statements_of_this_tree(self) -> None:
        """Every statement of the program is described and in use, and there are some."""
        assert list((ROOT / FOLDER).glob("*.sql"))
        assert offences(ROOT) == []
