"""Runs and watching: runs, cursors, workers, metrics, alerts.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: None = None
depends_on: None = None

DDL = """
CREATE TABLE tds_alerts (
    id UUID NOT NULL,
    rule TEXT NOT NULL,
    subject TEXT DEFAULT '' NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    value DOUBLE PRECISION,
    threshold DOUBLE PRECISION,
    triggered_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    is_active BOOLEAN DEFAULT true NOT NULL,
    acknowledged BOOLEAN DEFAULT false NOT NULL,
    acknowledged_at TIMESTAMP WITH TIME ZONE,
    acknowledged_by TEXT,
    acknowledgement_note TEXT,
    resolved_at TIMESTAMP WITH TIME ZONE,
    run_id UUID,
    CONSTRAINT pk_tds_alerts PRIMARY KEY (id),
    CONSTRAINT ck_tds_alerts_severity_known CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    CONSTRAINT ck_tds_alerts_active_iff_unresolved CHECK (is_active = (resolved_at IS NULL)),
    CONSTRAINT ck_tds_alerts_acknowledged_at_iff_acknowledged CHECK (acknowledged = (acknowledged_at IS NOT NULL))
);
CREATE UNIQUE INDEX uq_tds_alerts_active ON tds_alerts (rule, subject) WHERE is_active;

CREATE TABLE tds_jobs (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    criteria JSONB NOT NULL,
    note TEXT,
    status TEXT DEFAULT 'pending' NOT NULL,
    total INTEGER DEFAULT 0 NOT NULL,
    done INTEGER DEFAULT 0 NOT NULL,
    succeeded INTEGER DEFAULT 0 NOT NULL,
    failed INTEGER DEFAULT 0 NOT NULL,
    upper_id UUID,
    cursor_id UUID,
    last_error TEXT,
    requested_by TEXT NOT NULL,
    lease_token INTEGER DEFAULT 0 NOT NULL,
    locked_by TEXT,
    lock_expires_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tds_jobs PRIMARY KEY (id),
    CONSTRAINT ck_tds_jobs_status_known CHECK (status IN ('pending', 'processing', 'completed', 'cancelled')),
    CONSTRAINT ck_tds_jobs_kind_known CHECK (kind IN ('reprocess_letters', 'resolve_letters')),
    CONSTRAINT ck_tds_jobs_completed_at_iff_status
        CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'cancelled'))),
    CONSTRAINT ck_tds_jobs_locked_by_with_lock_expires_at CHECK ((locked_by IS NULL) = (lock_expires_at IS NULL)),
    CONSTRAINT ck_tds_jobs_counters_add_up CHECK (done = succeeded + failed)
);
CREATE INDEX ix_tds_jobs_open ON tds_jobs (id) WHERE status IN ('pending', 'processing');

CREATE TABLE tds_metrics (
    minute TIMESTAMP WITH TIME ZONE NOT NULL,
    worker_id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    processed INTEGER DEFAULT 0 NOT NULL,
    succeeded INTEGER DEFAULT 0 NOT NULL,
    failed INTEGER DEFAULT 0 NOT NULL,
    retried INTEGER DEFAULT 0 NOT NULL,
    dead INTEGER DEFAULT 0 NOT NULL,
    latency_sum_ms DOUBLE PRECISION DEFAULT 0 NOT NULL,
    latency_max_ms DOUBLE PRECISION DEFAULT 0 NOT NULL,
    latency_histogram JSONB DEFAULT '[]' NOT NULL,
    CONSTRAINT pk_tds_metrics PRIMARY KEY (minute, worker_id, entity_type)
);

CREATE TABLE tds_pauses (
    source TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    mode TEXT NOT NULL,
    note TEXT,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_tds_pauses PRIMARY KEY (source, entity_type),
    CONSTRAINT ck_tds_pauses_mode_known CHECK (mode IN ('pause', 'drain'))
);

CREATE TABLE tds_sync_cursors (
    source TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    watermark TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id UUID NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_tds_sync_cursors PRIMARY KEY (source, entity_type)
);

CREATE TABLE tds_sync_runs (
    id UUID NOT NULL,
    run_type TEXT NOT NULL,
    source TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    mode TEXT DEFAULT 'full' NOT NULL,
    managed BOOLEAN DEFAULT false NOT NULL,
    status TEXT DEFAULT 'pending' NOT NULL,
    configuration JSONB DEFAULT '{}' NOT NULL,
    total_events INTEGER DEFAULT 0 NOT NULL,
    processed_events INTEGER DEFAULT 0 NOT NULL,
    successful_events INTEGER DEFAULT 0 NOT NULL,
    failed_events INTEGER DEFAULT 0 NOT NULL,
    skipped_events INTEGER DEFAULT 0 NOT NULL,
    pages INTEGER DEFAULT 0 NOT NULL,
    since TIMESTAMP WITH TIME ZONE,
    checkpoint JSONB,
    scan_completed BOOLEAN DEFAULT false NOT NULL,
    cancel_requested BOOLEAN DEFAULT false NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    lease_token INTEGER DEFAULT 0 NOT NULL,
    locked_by TEXT,
    lock_expires_at TIMESTAMP WITH TIME ZONE,
    error_summary TEXT,
    started_by TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tds_sync_runs PRIMARY KEY (id),
    CONSTRAINT ck_tds_sync_runs_status_known
        CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    CONSTRAINT ck_tds_sync_runs_mode_known CHECK (mode IN ('full', 'incremental')),
    CONSTRAINT ck_tds_sync_runs_completed_at_iff_status
        CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled'))),
    CONSTRAINT ck_tds_sync_runs_locked_by_with_lock_expires_at
        CHECK ((locked_by IS NULL) = (lock_expires_at IS NULL)),
    CONSTRAINT ck_tds_sync_runs_counters_add_up
        CHECK (processed_events = successful_events + failed_events + skipped_events),
    CONSTRAINT ck_tds_sync_runs_lease_only_while_processing CHECK (locked_by IS NULL OR status = 'processing')
);
CREATE INDEX ix_tds_sync_runs_entity_type ON tds_sync_runs (entity_type, id);
CREATE INDEX ix_tds_sync_runs_open ON tds_sync_runs (id) WHERE status IN ('pending', 'processing');

CREATE TABLE tds_workers (
    id TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    state TEXT DEFAULT 'idle' NOT NULL,
    batch_size INTEGER DEFAULT 0 NOT NULL,
    batch_started_at TIMESTAMP WITH TIME ZONE,
    processed BIGINT DEFAULT 0 NOT NULL,
    failed BIGINT DEFAULT 0 NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    stopped_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tds_workers PRIMARY KEY (id),
    CONSTRAINT ck_tds_workers_state_known CHECK (state IN ('idle', 'busy', 'draining', 'stopped'))
);
"""

UNDO = """
DROP TABLE tds_jobs;
DROP TABLE tds_pauses;
DROP TABLE tds_alerts;
DROP TABLE tds_metrics;
DROP TABLE tds_workers;
DROP TABLE tds_sync_cursors;
DROP TABLE tds_sync_runs;
"""


def upgrade() -> None:
    """Run the statements one by one."""
    run(DDL)


def downgrade() -> None:
    """Drop what was made: for development only, data goes with it."""
    run(UNDO)
