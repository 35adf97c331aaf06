"""Run the DDL of a migration."""

from __future__ import annotations

from alembic import op

__all__ = ["run"]


def run(ddl: str) -> None:
    """Run statements one by one; each ends with a semicolon at the end of its line."""
    for sql in ddl.split(";\n"):
        if sql.strip():
            op.execute(sql)
