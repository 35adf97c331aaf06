"""Room on the pages of products and customers, so that an edit of what no index holds needs no new index entries.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    """For pages that are written from now on: nothing is rewritten, and nobody has to wait."""
    run("""
ALTER TABLE erp_products SET (fillfactor = 80);
ALTER TABLE erp_customers SET (fillfactor = 80);
""")


def downgrade() -> None:
    """Full pages again."""
    run("""
ALTER TABLE erp_customers RESET (fillfactor);
ALTER TABLE erp_products RESET (fillfactor);
""")
