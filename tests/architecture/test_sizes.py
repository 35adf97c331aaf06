"""The size gate refuses what is too long, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.lint.sizes import FILE_CAP, FUNCTION_CAP, MEDIAN_CAP, P90_CAP, functions_of, main, offences


def _function(name: str, lines: int) -> str:
    return f"def {name}():\n" + "    x = 1\n" * (lines - 1)


def _plant(root: Path, name: str, source: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")


class TestFunctionsOf:
    """How functions are measured."""

    def test_counts_from_def_to_the_last_line(self) -> None:
        """A function's length is every line from ``def`` on."""
        (found,) = functions_of(_function("f", 7))
        assert (found.name, found.line, found.length) == ("f", 1, 7)

    def test_sees_methods_async_and_inner_functions(self) -> None:
        """Nothing hides in a class or in another function."""
        source = "class A:\n    async def m(self):\n        def inner():\n            return 1\n        return inner\n"
        assert {f.name: f.length for f in functions_of(source)} == {"m": 4, "inner": 2}


class TestOffences:
    """What is refused."""

    def test_accepts_what_is_at_the_caps(self, tmp_path: Path) -> None:
        """A file and a function of exactly the greatest length pass."""
        _plant(tmp_path, "tests/test_a.py", _function("f", FUNCTION_CAP) + "x = 1\n" * (FILE_CAP - FUNCTION_CAP))
        assert offences(tmp_path) == []

    @pytest.mark.parametrize("folder", ["app", "tests", "tools"])
    def test_names_a_long_file(self, tmp_path: Path, folder: str) -> None:
        """One line too many in a file is an offence, in every folder."""
        _plant(tmp_path, f"{folder}/long.py", "x = 1\n" * (FILE_CAP + 1))
        assert offences(tmp_path) == [f"{folder}/long.py: {FILE_CAP + 1} lines, at most {FILE_CAP}"]

    def test_names_a_long_function_by_its_line(self, tmp_path: Path) -> None:
        """One line too many in a function is an offence, with its place."""
        _plant(tmp_path, "tests/test_a.py", "\n\n" + _function("f", FUNCTION_CAP + 1))
        assert offences(tmp_path) == [f"tests/test_a.py:3: f has {FUNCTION_CAP + 1} lines, at most {FUNCTION_CAP}"]

    def test_refuses_a_program_of_middling_functions(self, tmp_path: Path) -> None:
        """Functions that are each allowed are refused where most of them are long."""
        _plant(tmp_path, "app/a.py", "".join(_function(f"f{n}", MEDIAN_CAP + 1) for n in range(9)))
        assert offences(tmp_path) == [
            f"app: the median function has {MEDIAN_CAP + 1} lines, at most {MEDIAN_CAP}",
        ]

    def test_refuses_a_long_tail(self, tmp_path: Path) -> None:
        """Two long functions in ten are too many, though the median is short."""
        lengths = [3] * 8 + [P90_CAP + 1] * 2
        _plant(tmp_path, "app/a.py", "".join(_function(f"f{n}", lines) for n, lines in enumerate(lengths)))
        assert offences(tmp_path) == [f"app: one function in ten has {P90_CAP + 1} lines or more, at most {P90_CAP}"]


class TestMain:
    """The command."""

    def test_ends_with_1_and_prints_the_offender(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A refusal can be read and fails the build."""
        _plant(tmp_path, "app/long.py", "x = 1\n" * (FILE_CAP + 1))
        assert main([str(tmp_path)]) == 1
        assert "app/long.py" in capsys.readouterr().out

    def test_ends_with_0_where_all_is_well(self, tmp_path: Path) -> None:
        """An accepted tree lets the build go on."""
        _plant(tmp_path, "app/short.py", _function("f", 3))
        assert main([str(tmp_path)]) == 0
