"""Sizes as a gate: long files and long functions are split by noun before they grow for ever.

Every codebase this one learnt from has a file of thousands of lines that nobody decided to write. The caps hold
in every folder; the spread (median and ninetieth percentile of function lengths) is that of the program itself.

Usage: ``python tools/lint/sizes.py [ROOT]``. Prints each offender and ends with 1 if there is one. A length
counts every line from ``def`` to the end of the body, docstring and blank lines included.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median

__all__ = ["FILE_CAP", "FUNCTION_CAP", "MEDIAN_CAP", "P90_CAP", "Function", "functions_of", "main", "offences"]

FILE_CAP = 400
FUNCTION_CAP = 60
MEDIAN_CAP = 12
P90_CAP = 35
CAPPED = ("app", "tests", "tools", "benchmarks", "examples")
SPREAD = "app"


@dataclass(frozen=True, slots=True)
class Function:
    """A function, where it begins and how many lines it has."""

    name: str
    line: int
    length: int


def functions_of(source: str) -> Iterator[Function]:
    """Every function in ``source``, methods and inner functions included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)


def _percentile(lengths: Sequence[int], share: float) -> int:
    return sorted(lengths)[ceil(share * len(lengths)) - 1]


def _file_offences(root: Path, path: Path) -> Iterator[str]:
    source = path.read_text(encoding="utf-8")
    name = path.relative_to(root)
    lines = len(source.splitlines())
    if lines > FILE_CAP:
        yield f"{name}: {lines} lines, at most {FILE_CAP}"
    for function in functions_of(source):
        if function.length > FUNCTION_CAP:
            yield f"{name}:{function.line}: {function.name} has {function.length} lines, at most {FUNCTION_CAP}"


def _spread_offences(lengths: Sequence[int]) -> Iterator[str]:
    if not lengths:
        return
    if (middle := median(lengths)) > MEDIAN_CAP:
        yield f"{SPREAD}: the median function has {middle:g} lines, at most {MEDIAN_CAP}"
    if (long := _percentile(lengths, 0.9)) > P90_CAP:
        yield f"{SPREAD}: one function in ten has {long} lines or more, at most {P90_CAP}"


def offences(root: Path) -> list[str]:
    """What is too long under ``root``, one line each."""
    found = [
        o for folder in CAPPED for path in sorted((root / folder).rglob("*.py")) for o in _file_offences(root, path)
    ]
    program = (path.read_text(encoding="utf-8") for path in (root / SPREAD).rglob("*.py"))
    return found + list(_spread_offences([f.length for source in program for f in functions_of(source)]))


def main(arguments: Sequence[str]) -> int:
    """Print the offences under the folder named by ``arguments``, or the current one."""
    found = offences(Path(arguments[0] if arguments else "."))
    print(*found or ["Sizes: all within bounds."], sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
