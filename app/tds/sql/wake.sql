-- Wake queue items that wait for what has now come.
-- locks: the rows; one that a worker has taken meanwhile is passed over
-- index: ix_tds_sync_queue_waits_for
UPDATE tds_sync_queue
SET status = 'pending', next_retry_at = NULL, waits_for = NULL
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_sync_queue
    WHERE waits_for = ANY (CAST(:waits_for AS text[])) AND status = 'retry'
    LIMIT CAST(:limit AS int)
    FOR UPDATE SKIP LOCKED))
RETURNING id
