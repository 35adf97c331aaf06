"""Watching: samples of the queue, what alerts need.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: None = None
depends_on: None = None

DDL = """
"""


def upgrade() -> None:
    """Make the tables."""
    run(DDL)


def downgrade() -> None:
    """Drop them."""
    run("""
""")
