"""Access: browser sessions, failed logins.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0006"
down_revision: str | None = "0005"
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
