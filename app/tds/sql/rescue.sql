-- Put items whose lease has ended back into the queue; those that took too many workers with them stay for quarantine.
-- Each end counts as a death of its worker; one that was only cut off takes that back itself (forgive_losses).
-- locks: the rows; one that its worker is finishing this moment is passed over
-- index: ix_tds_sync_queue_lease
UPDATE tds_sync_queue
SET status = 'pending', locked_by = NULL, lock_expires_at = NULL, lease_losses = lease_losses + 1
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_sync_queue
    WHERE status = 'processing' AND lock_expires_at <= clock_timestamp()
      AND lease_losses + 1 < CAST(:quarantine_after AS int)
    ORDER BY lock_expires_at
    LIMIT CAST(:limit AS int)
    FOR UPDATE SKIP LOCKED))
RETURNING id
