"""Epochs: what makes cached answers stale.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: None = None
depends_on: None = None

DDL = """
CREATE TABLE epochs (
    name TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    CONSTRAINT pk_epochs PRIMARY KEY (name)
);
-- Tells this database from every other that shares a cache with it, also from one that was here before.
INSERT INTO epochs (name, epoch) VALUES ('installation', CAST(floor(random() * 9e15) AS BIGINT));
"""


def upgrade() -> None:
    """Make the tables."""
    run(DDL)


def downgrade() -> None:
    """Drop them."""
    run("""
DROP TABLE epochs;
""")
