"""Access: browser sessions, attempts to sign in, and from where a person has acted.

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
CREATE TABLE browser_sessions (
    id UUID NOT NULL,
    session_hash BYTEA NOT NULL,
    token_hash BYTEA NOT NULL,
    address TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_browser_sessions PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_browser_sessions_hash ON browser_sessions (session_hash);
CREATE INDEX ix_browser_sessions_expires_at ON browser_sessions (expires_at);

CREATE TABLE login_attempts (
    key TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_login_attempts PRIMARY KEY (key)
);
CREATE INDEX ix_login_attempts_since ON login_attempts (since);

ALTER TABLE tds_audit_trail ADD COLUMN origin TEXT;
"""


def upgrade() -> None:
    """Make the tables."""
    run(DDL)


def downgrade() -> None:
    """Drop them."""
    run("""
ALTER TABLE tds_audit_trail DROP COLUMN origin;
DROP TABLE login_attempts;
DROP TABLE browser_sessions;
""")
