"""The lists of phones and pages: an index for each filter that would otherwise read through history.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: None = None
depends_on: None = None

DDL = """
CREATE INDEX ix_tds_dead_letter_queue_entity_type ON tds_dead_letter_queue (entity_type, id);
CREATE INDEX ix_tds_dead_letter_queue_open_entity_type ON tds_dead_letter_queue (entity_type, id) WHERE NOT resolved;
CREATE INDEX ix_tds_dead_letter_queue_open_error_code ON tds_dead_letter_queue (error_code, id) WHERE NOT resolved;
CREATE INDEX ix_tds_sync_runs_status ON tds_sync_runs (status, id);
CREATE INDEX ix_tds_sync_runs_source ON tds_sync_runs (source, id);
CREATE INDEX ix_tds_audit_trail_manual ON tds_audit_trail (id) WHERE change_source = 'manual';
CREATE INDEX ix_tds_audit_trail_actor ON tds_audit_trail (actor, id) WHERE change_source = 'manual';
"""


def upgrade() -> None:
    """Make the indexes. Those of the audit trail hold what persons did only: they cost an apply nothing."""
    run(DDL)


def downgrade() -> None:
    """Drop them."""
    run("""
DROP INDEX ix_tds_audit_trail_actor;
DROP INDEX ix_tds_audit_trail_manual;
DROP INDEX ix_tds_sync_runs_source;
DROP INDEX ix_tds_sync_runs_status;
DROP INDEX ix_tds_dead_letter_queue_open_error_code;
DROP INDEX ix_tds_dead_letter_queue_open_entity_type;
DROP INDEX ix_tds_dead_letter_queue_entity_type;
""")
