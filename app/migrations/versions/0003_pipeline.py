"""Pipeline: inbox, queue, ledger, dead letters, audit.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from app.migrations.statements import run

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: None = None
depends_on: None = None

DDL = """
CREATE SEQUENCE tds_arrival_seq;
CREATE TABLE tds_audit_trail (
    id UUID NOT NULL,
    entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    source_entity_id TEXT,
    operation TEXT NOT NULL,
    before JSONB,
    after JSONB,
    changed_fields TEXT[] NOT NULL,
    change_source TEXT NOT NULL,
    actor TEXT NOT NULL,
    queue_id UUID,
    run_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_tds_audit_trail PRIMARY KEY (id),
    CONSTRAINT ck_tds_audit_trail_operation_known CHECK (operation IN ('create', 'update', 'upsert', 'delete'))
) PARTITION BY RANGE (id);
CREATE INDEX ix_tds_audit_trail_entity ON tds_audit_trail (entity_id, entity_type, id);

CREATE TABLE tds_dead_letter_queue (
    id UUID NOT NULL,
    sync_queue_id UUID,
    inbox_event_id UUID,
    run_id UUID,
    source TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    source_entity_id TEXT,
    operation_type TEXT,
    failure_reason TEXT NOT NULL,
    error_code TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    total_attempts SMALLINT DEFAULT 0 NOT NULL,
    errors JSONB DEFAULT '[]' NOT NULL,
    stack TEXT,
    original_payload JSONB,
    last_payload JSONB,
    version_time TIMESTAMP WITH TIME ZONE,
    arrival BIGINT,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    priority SMALLINT DEFAULT 5 NOT NULL,
    resolved BOOLEAN DEFAULT false NOT NULL,
    resolved_at TIMESTAMP WITH TIME ZONE,
    resolved_by TEXT,
    resolution TEXT,
    resolution_notes TEXT,
    reprocessed_as UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_tds_dead_letter_queue PRIMARY KEY (id),
    CONSTRAINT ck_tds_dead_letter_queue_resolved_at_iff_resolved CHECK (resolved = (resolved_at IS NOT NULL)),
    CONSTRAINT ck_tds_dead_letter_queue_priority_range CHECK (priority BETWEEN 1 AND 10)
);
CREATE INDEX ix_tds_dead_letter_queue_entity ON tds_dead_letter_queue (source_entity_id, entity_type);
CREATE INDEX ix_tds_dead_letter_queue_open ON tds_dead_letter_queue (id) WHERE NOT resolved;
CREATE INDEX ix_tds_dead_letter_queue_open_fingerprint ON tds_dead_letter_queue (fingerprint, id) WHERE NOT resolved;

CREATE TABLE tds_dedupe_keys (
    source TEXT NOT NULL,
    key BYTEA NOT NULL,
    event_id UUID NOT NULL,
    deliveries INTEGER DEFAULT 1 NOT NULL,
    first_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_tds_dedupe_keys PRIMARY KEY (source, key)
);
CREATE INDEX ix_tds_dedupe_keys_expires_at ON tds_dedupe_keys (expires_at);

CREATE TABLE tds_entities (
    source TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    source_entity_id TEXT NOT NULL,
    local_id TEXT,
    version_time TIMESTAMP WITH TIME ZONE,
    version_arrival BIGINT DEFAULT 0 NOT NULL,
    barrier_arrival BIGINT DEFAULT 0 NOT NULL,
    barrier_time TIMESTAMP WITH TIME ZONE,
    barrier_deleted BOOLEAN DEFAULT false NOT NULL,
    content_hash BYTEA,
    deleted BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_applied_at TIMESTAMP WITH TIME ZONE,
    last_verified_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tds_entities PRIMARY KEY (source, entity_type, source_entity_id)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX uq_tds_entities_local_id ON tds_entities (local_id, entity_type) WHERE local_id IS NOT NULL;

CREATE TABLE tds_inbox_events (
    id UUID NOT NULL,
    source TEXT NOT NULL,
    entity_type TEXT,
    source_entity_id TEXT,
    operation TEXT,
    body BYTEA NOT NULL,
    headers JSONB DEFAULT '{}' NOT NULL,
    content_hash BYTEA NOT NULL,
    signature TEXT NOT NULL,
    status TEXT DEFAULT 'pending' NOT NULL,
    arrival BIGINT DEFAULT nextval('tds_arrival_seq') NOT NULL,
    validation_errors JSONB,
    duplicate_of UUID,
    run_id UUID,
    trace_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tds_inbox_events PRIMARY KEY (id),
    CONSTRAINT ck_tds_inbox_events_status_known
        CHECK (status IN ('pending', 'queued', 'completed', 'dead_letter', 'cancelled')),
    CONSTRAINT ck_tds_inbox_events_completed_at_iff_status
        CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'dead_letter', 'cancelled'))),
    CONSTRAINT ck_tds_inbox_events_signature_known CHECK (signature IN ('valid', 'not_applicable')),
    CONSTRAINT ck_tds_inbox_events_duplicate_is_cancelled CHECK (duplicate_of IS NULL OR status = 'cancelled')
) PARTITION BY RANGE (id);
CREATE INDEX ix_tds_inbox_events_pending ON tds_inbox_events (id) WHERE status = 'pending';

CREATE TABLE tds_sync_queue (
    id UUID NOT NULL,
    inbox_event_id UUID,
    run_id UUID,
    dead_letter_id UUID,
    source TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    source_entity_id TEXT NOT NULL,
    operation_type TEXT NOT NULL,
    validated_payload JSONB NOT NULL,
    version_time TIMESTAMP WITH TIME ZONE,
    arrival BIGINT DEFAULT nextval('tds_arrival_seq') NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    priority SMALLINT DEFAULT 5 NOT NULL,
    status TEXT DEFAULT 'pending' NOT NULL,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    lease_losses SMALLINT DEFAULT 0 NOT NULL,
    lease_token INTEGER DEFAULT 0 NOT NULL,
    locked_by TEXT,
    lock_expires_at TIMESTAMP WITH TIME ZONE,
    next_retry_at TIMESTAMP WITH TIME ZONE,
    waits_for TEXT COLLATE "C",
    deferrals SMALLINT DEFAULT 0 NOT NULL,
    errors JSONB DEFAULT '[]' NOT NULL,
    outcome TEXT,
    target_entity_id TEXT,
    trace_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tds_sync_queue PRIMARY KEY (id),
    CONSTRAINT ck_tds_sync_queue_status_known
        CHECK (status IN ('pending', 'processing', 'retry', 'completed', 'dead_letter', 'cancelled')),
    CONSTRAINT ck_tds_sync_queue_operation_type_known
        CHECK (operation_type IN ('create', 'update', 'upsert', 'delete')),
    CONSTRAINT ck_tds_sync_queue_completed_at_iff_status
        CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'dead_letter', 'cancelled'))),
    CONSTRAINT ck_tds_sync_queue_locked_by_iff_status CHECK ((locked_by IS NOT NULL) = (status IN ('processing'))),
    CONSTRAINT ck_tds_sync_queue_next_retry_at_iff_status CHECK ((next_retry_at IS NOT NULL) = (status IN ('retry'))),
    CONSTRAINT ck_tds_sync_queue_outcome_iff_status CHECK ((outcome IS NOT NULL) = (status IN ('completed'))),
    CONSTRAINT ck_tds_sync_queue_locked_by_with_lock_expires_at
        CHECK ((locked_by IS NULL) = (lock_expires_at IS NULL)),
    CONSTRAINT ck_tds_sync_queue_outcome_known
        CHECK (outcome IN ('created', 'updated', 'deleted', 'unchanged', 'superseded')),
    CONSTRAINT ck_tds_sync_queue_priority_range CHECK (priority BETWEEN 1 AND 10),
    CONSTRAINT ck_tds_sync_queue_counts_positive CHECK (attempts >= 0 AND lease_losses >= 0),
    CONSTRAINT ck_tds_sync_queue_waits_only_in_retry CHECK (waits_for IS NULL OR status = 'retry')
) PARTITION BY RANGE (id);
CREATE INDEX ix_tds_sync_queue_entity ON tds_sync_queue (source_entity_id, entity_type, id);
CREATE INDEX ix_tds_sync_queue_lease ON tds_sync_queue (lock_expires_at) WHERE status = 'processing';
CREATE INDEX ix_tds_sync_queue_oldest ON tds_sync_queue (id) WHERE status = 'pending';
CREATE INDEX ix_tds_sync_queue_retry ON tds_sync_queue (next_retry_at) WHERE status = 'retry';
CREATE INDEX ix_tds_sync_queue_run ON tds_sync_queue (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX ix_tds_sync_queue_suspect ON tds_sync_queue (id) WHERE status = 'pending' AND lease_losses > 0;
CREATE INDEX ix_tds_sync_queue_urgent ON tds_sync_queue (priority DESC, id) WHERE status = 'pending';
CREATE INDEX ix_tds_sync_queue_waits_for ON tds_sync_queue (waits_for) WHERE waits_for IS NOT NULL;
"""

UNDO = """
DROP TABLE tds_audit_trail;
DROP TABLE tds_dead_letter_queue;
DROP TABLE tds_entities;
DROP TABLE tds_sync_queue;
DROP TABLE tds_dedupe_keys;
DROP TABLE tds_inbox_events;
DROP SEQUENCE tds_arrival_seq;
"""


def upgrade() -> None:
    """Run the statements one by one."""
    run(DDL)


def downgrade() -> None:
    """Drop what was made: for development only, data goes with it."""
    run(UNDO)
