-- Cancel what a run has queued and nobody has begun.
-- locks: the rows; what a worker is working on is passed over
-- index: ix_tds_sync_queue_run
UPDATE tds_sync_queue
SET status = 'cancelled', completed_at = now(), next_retry_at = NULL, waits_for = NULL
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_sync_queue
    WHERE run_id = CAST(:run_id AS uuid) AND status IN ('pending', 'retry')
    FOR UPDATE SKIP LOCKED))
RETURNING inbox_event_id
