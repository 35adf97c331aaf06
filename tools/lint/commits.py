"""Commits only at the edges: whoever opened a transaction ends it.

A service that commits by itself breaks its caller's promise that state, audit and events are one transaction: half
of it would survive a crash. Services take the caller's session; ``commit`` is called by the unit of work in
``app/core/database.py`` and by the edges (the API, the workers, the command line, the runner of migrations), and
nowhere else.

Usage: ``python tools/lint/commits.py [ROOT]``. Prints each call that stands elsewhere and ends with 1 if there is one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

__all__ = ["EDGES", "commits_in", "main", "offences"]

EDGES = (
    "app/core/database.py",
    "app/migrations/runner.py",
    "app/tds/api/*",
    "app/tds/workers/*",
    "app/cli.py",
    "app/cli/*",
    "app/cli_*.py",
)


def commits_in(source: str) -> Iterator[int]:
    """The line of every ``<anything>.commit(...)`` in ``source``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield node.lineno


def _is_edge(name: str) -> bool:
    return any(fnmatch(name, edge) for edge in EDGES)


def offences(root: Path) -> list[str]:
    """The commits under ``root`` that are not at an edge, one line each."""
    files = ((path, path.relative_to(root).as_posix()) for path in sorted((root / "app").rglob("*.py")))
    return [
        f"{name}:{line}: commits a transaction; leave that to the caller"
        for path, name in files
        if not _is_edge(name)
        for line in commits_in(path.read_text(encoding="utf-8"))
    ]


def main(arguments: Sequence[str]) -> int:
    """Print the offences under the folder named by ``arguments``, or the current one."""
    found = offences(Path(arguments[0] if arguments else "."))
    print(*found or ["Commits: only at the edges."], sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
