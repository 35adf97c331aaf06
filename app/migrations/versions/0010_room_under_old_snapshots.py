"""As much room for the next version of a row as the row takes: it then needs no index entries, every second time.

Under an old snapshot no page wins back what is dead, and to enter a version into the index of a key walks over all
versions that are there.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    """For what is written from now on: nothing is rewritten, and nobody has to wait."""
    run("""
ALTER TABLE tds_entities SET (fillfactor = 50);
ALTER TABLE erp_products SET (fillfactor = 50);
ALTER TABLE erp_customers SET (fillfactor = 50);
""")


def downgrade() -> None:
    """As it was."""
    run("""
ALTER TABLE erp_customers SET (fillfactor = 80);
ALTER TABLE erp_products SET (fillfactor = 80);
ALTER TABLE tds_entities SET (fillfactor = 70);
""")
