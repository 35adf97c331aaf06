"""SQL statements say what they lock and which index they use, and somebody runs them.

A statement of the hot path stands in a file of its own, ``app/tds/sql/<name>.sql``, and is loaded by
``statement("<name>")``. The file opens with comments: a line that says what the statement is for, one ``-- locks:``
and one ``-- index:``. A file that nobody names is dead, a name without a file fails at run time: both are refused.

Usage: ``python tools/lint/statements.py [ROOT]``. Prints each offence and ends with 1 if there is one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

__all__ = ["FOLDER", "main", "names_in", "offences"]

FOLDER = Path("app/tds/sql")
REQUIRED = ("-- locks:", "-- index:")


def names_in(source: str) -> Iterator[str]:
    """The names that ``source`` loads by ``statement("<name>")``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _callee(node.func) == "statement":
            for value in (a.value for a in node.args[:1] if isinstance(a, ast.Constant)):
                if isinstance(value, str):
                    yield value


def _callee(function: ast.expr) -> str | None:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return None


def _header_offences(path: Path) -> Iterator[str]:
    header = list(takewhile(lambda line: line.startswith("--"), path.read_text(encoding="utf-8").splitlines()))
    if not header or not header[0].removeprefix("--").strip() or header[0].startswith(REQUIRED):
        yield f"{FOLDER / path.name}: the first line must be a comment that says what it is for"
    for opening in REQUIRED:
        if not any(line.startswith(opening) and line.removeprefix(opening).strip() for line in header):
            yield f"{FOLDER / path.name}: the header has no line '{opening} ...'"


def _usage_offences(files: set[str], used: set[str]) -> Iterator[str]:
    yield from (f"{FOLDER / name}.sql: no code runs it" for name in sorted(files - used))
    yield from (f"{FOLDER / name}.sql: is run, and does not exist" for name in sorted(used - files))


def offences(root: Path) -> list[str]:
    """What is wrong with the statements under ``root``, one line each."""
    files = sorted((root / FOLDER).glob("*.sql"))
    sources = (path.read_text(encoding="utf-8") for path in (root / "app").rglob("*.py"))
    used = {name for source in sources for name in names_in(source)}
    headers = [offence for path in files for offence in _header_offences(path)]
    return headers + list(_usage_offences({path.stem for path in files}, used))


def main(arguments: Sequence[str]) -> int:
    """Print the offences under the folder named by ``arguments``, or the current one."""
    found = offences(Path(arguments[0] if arguments else "."))
    print(*found or ["Statements: all described, all in use."], sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
