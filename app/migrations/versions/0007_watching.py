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
ALTER TABLE tds_metrics SET (fillfactor = 50);
ALTER TABLE tds_metrics DROP COLUMN latency_histogram;
ALTER TABLE tds_metrics
    ADD COLUMN created INTEGER DEFAULT 0 NOT NULL,
    ADD COLUMN deleted INTEGER DEFAULT 0 NOT NULL,
    ADD COLUMN latency_counts INTEGER[] DEFAULT '{0,0,0,0,0,0,0,0,0,0,0,0,0,0}' NOT NULL,
    ADD COLUMN last_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN newest_change_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE tds_metrics ALTER COLUMN latency_counts DROP DEFAULT;
ALTER TABLE tds_metrics
    ADD CONSTRAINT ck_tds_metrics_counters_add_up
        CHECK (processed = succeeded + failed AND failed = retried + dead),
    ADD CONSTRAINT ck_tds_metrics_latency_counts_complete CHECK (cardinality(latency_counts) = 14);

CREATE TABLE tds_metric_hours (
    hour TIMESTAMP WITH TIME ZONE NOT NULL,
    entity_type TEXT NOT NULL,
    processed INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    created INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    latency_sum_ms DOUBLE PRECISION NOT NULL,
    latency_max_ms DOUBLE PRECISION NOT NULL,
    latency_counts INTEGER[] NOT NULL,
    CONSTRAINT pk_tds_metric_hours PRIMARY KEY (hour, entity_type),
    CONSTRAINT ck_tds_metric_hours_counters_add_up
        CHECK (processed = succeeded + failed AND failed = retried + dead),
    CONSTRAINT ck_tds_metric_hours_latency_counts_complete CHECK (cardinality(latency_counts) = 14)
);

CREATE TABLE tds_queue_samples (
    minute TIMESTAMP WITH TIME ZONE NOT NULL,
    sampled_at TIMESTAMP WITH TIME ZONE NOT NULL,
    pending BIGINT NOT NULL,
    processing BIGINT NOT NULL,
    retry BIGINT NOT NULL,
    retry_ready BIGINT NOT NULL,
    stale BIGINT NOT NULL,
    dead_letter BIGINT NOT NULL,
    inbox BIGINT NOT NULL,
    oldest_pending_seconds DOUBLE PRECISION NOT NULL,
    pending_by_type JSONB NOT NULL,
    CONSTRAINT pk_tds_queue_samples PRIMARY KEY (minute)
);

CREATE TABLE tds_entity_totals (
    entity_type TEXT NOT NULL,
    counted BIGINT NOT NULL,
    counted_from TIMESTAMP WITH TIME ZONE NOT NULL,
    counted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_sync_at TIMESTAMP WITH TIME ZONE,
    newest_change_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tds_entity_totals PRIMARY KEY (entity_type)
);

ALTER TABLE tds_alerts
    ADD COLUMN resolved_by TEXT,
    ADD COLUMN resolution_note TEXT,
    ADD COLUMN muted BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN calm_rounds SMALLINT DEFAULT 0 NOT NULL,
    ADD COLUMN updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ADD CONSTRAINT ck_tds_alerts_muted_only_when_resolved CHECK (NOT (is_active AND muted));
CREATE UNIQUE INDEX uq_tds_alerts_muted ON tds_alerts (rule, subject) WHERE muted;
"""

UNDO = """
DROP INDEX uq_tds_alerts_muted;
ALTER TABLE tds_alerts
    DROP CONSTRAINT ck_tds_alerts_muted_only_when_resolved,
    DROP COLUMN resolved_by, DROP COLUMN resolution_note, DROP COLUMN muted, DROP COLUMN calm_rounds,
    DROP COLUMN updated_at;
DROP TABLE tds_entity_totals;
DROP TABLE tds_queue_samples;
DROP TABLE tds_metric_hours;
ALTER TABLE tds_metrics
    DROP CONSTRAINT ck_tds_metrics_counters_add_up, DROP CONSTRAINT ck_tds_metrics_latency_counts_complete,
    DROP COLUMN created, DROP COLUMN deleted, DROP COLUMN latency_counts, DROP COLUMN last_at,
    DROP COLUMN newest_change_at;
ALTER TABLE tds_metrics ADD COLUMN latency_histogram JSONB DEFAULT '[]' NOT NULL;
ALTER TABLE tds_metrics RESET (fillfactor);
"""


def upgrade() -> None:
    """Run the statements one by one."""
    run(DDL)


def downgrade() -> None:
    """Drop what was made: for development only, data goes with it."""
    run(UNDO)
