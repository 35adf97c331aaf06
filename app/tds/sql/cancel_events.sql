-- Cancel what a run has stored and nobody has looked at.
-- locks: the rows; what a validator is looking at is passed over
-- index: ix_tds_inbox_events_pending
UPDATE tds_inbox_events
SET status = 'cancelled', completed_at = now()
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_inbox_events
    WHERE status = 'pending' AND run_id = CAST(:run_id AS uuid)
    FOR UPDATE SKIP LOCKED))
RETURNING id
