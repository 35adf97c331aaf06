"""Kernel: event log, leases, tokens, shared state of outside calls.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0001"
down_revision: str | None = None
branch_labels: None = None
depends_on: None = None

DDL = """
CREATE SEQUENCE event_log_position_seq;
CREATE TABLE api_tokens (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    role TEXT NOT NULL,
    created_by TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_api_tokens PRIMARY KEY (id),
    CONSTRAINT ck_api_tokens_role_known CHECK (role IN ('viewer', 'operator', 'admin'))
);
CREATE UNIQUE INDEX uq_api_tokens_hash ON api_tokens (token_hash);

CREATE TABLE circuit_breakers (
    name TEXT NOT NULL,
    state TEXT DEFAULT 'closed' NOT NULL,
    failures INTEGER DEFAULT 0 NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE,
    retry_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_circuit_breakers PRIMARY KEY (name),
    CONSTRAINT ck_circuit_breakers_state_known CHECK (state IN ('closed', 'open', 'half_open'))
);

CREATE TABLE event_log (
    event_id UUID NOT NULL,
    xid XID8 DEFAULT pg_current_xact_id() NOT NULL,
    position BIGINT DEFAULT nextval('event_log_position_seq') NOT NULL,
    event_type TEXT NOT NULL,
    module TEXT NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    aggregate_type TEXT,
    aggregate_id TEXT,
    data JSONB NOT NULL,
    correlation_id TEXT,
    CONSTRAINT pk_event_log PRIMARY KEY (event_id)
) PARTITION BY RANGE (event_id);
CREATE INDEX ix_event_log_aggregate_type_aggregate_id_event_id ON event_log (aggregate_type, aggregate_id, event_id);
CREATE INDEX ix_event_log_position ON event_log (position);

CREATE TABLE event_subscriptions (
    name TEXT NOT NULL,
    pattern TEXT NOT NULL,
    position BIGINT DEFAULT 0 NOT NULL,
    xid XID8,
    attempts INTEGER DEFAULT 0 NOT NULL,
    last_error TEXT,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_event_subscriptions PRIMARY KEY (name)
);

CREATE TABLE locks (
    name TEXT NOT NULL,
    holder TEXT,
    token BIGINT DEFAULT 0 NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_locks PRIMARY KEY (name)
);

CREATE TABLE rate_budgets (
    name TEXT NOT NULL,
    quota BIGINT NOT NULL,
    used BIGINT DEFAULT 0 NOT NULL,
    window_started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    window_ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
    blocked_until TIMESTAMP WITH TIME ZONE,
    refill_per_second DOUBLE PRECISION DEFAULT 0 NOT NULL,
    CONSTRAINT pk_rate_budgets PRIMARY KEY (name)
);
"""

UNDO = """
DROP TABLE rate_budgets;
DROP TABLE circuit_breakers;
DROP TABLE api_tokens;
DROP TABLE locks;
DROP TABLE event_subscriptions;
DROP TABLE event_log;
DROP SEQUENCE event_log_position_seq;
"""


def upgrade() -> None:
    """Run the statements one by one."""
    run(DDL)


def downgrade() -> None:
    """Drop what was made: for development only, data goes with it."""
    run(UNDO)
