"""The table of routes and roles in docs/access.md, made from the application itself.

    python tools/access_table.py            print it
    python tools/access_table.py --write    put it into the page

A test holds the page against the application, so whoever adds a route runs this.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from app.bootstrap import Runtime
from app.core.config import Settings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.security.application import route_roles
from app.main import create_app
from app.tds.targets.erp import erp_targets

__all__ = ["BEGIN", "END", "PAGE", "documented", "rows", "table"]

PAGE = Path(__file__).parents[1] / "docs" / "access.md"
BEGIN, END = "<!-- routes: made by tools/access_table.py -->", "<!-- /routes -->"

Row = tuple[str, str, str]


def rows() -> list[Row]:
    """Method, path and role of every route of the application. Nothing is connected to for it."""
    settings = Settings.load()
    database = Database("postgresql://nowhere.invalid/tds", settings.database)
    runtime = Runtime(settings, database, Doorbell(database), {}, erp_targets())
    return sorted(route_roles(create_app(runtime)), key=lambda row: (row[1], row[0]))


def table(found: Sequence[Row]) -> str:
    """The table in Markdown."""
    lines = ["| method | path | role |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {method} | `{path}` | {role} |" for method, path, role in found)])


def documented() -> list[Row]:
    """What the page says."""
    part = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in part.strip().splitlines()[2:]]
    return [(method, path, role) for method, path, role in cells]


def main() -> None:
    """Print the table, or put it into the page."""
    made = table(rows())
    if "--write" not in sys.argv[1:]:
        print(made)
        return
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
