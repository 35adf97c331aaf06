-- Claim the oldest run that waits to be read, or whose reader is gone.
-- locks: the run's row; one that another worker is claiming is passed over
-- index: ix_tds_sync_runs_open
UPDATE tds_sync_runs
SET status = 'processing',
    locked_by = CAST(:worker AS text),
    lease_token = lease_token + 1,
    lock_expires_at = now() + CAST(:lease AS interval),
    next_attempt_at = NULL,
    started_at = COALESCE(started_at, now())
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_sync_runs
    WHERE managed AND status IN ('pending', 'processing') AND NOT scan_completed
      AND (lock_expires_at IS NULL OR lock_expires_at <= clock_timestamp())
      AND (next_attempt_at IS NULL OR next_attempt_at <= now())
      AND NOT EXISTS (SELECT 1 FROM tds_pauses AS pause
                      WHERE pause.source = tds_sync_runs.source
                        AND pause.entity_type IN (tds_sync_runs.entity_type, '*'))
    ORDER BY id
    LIMIT 1
    FOR UPDATE SKIP LOCKED))
RETURNING id, started_at = now() AS first
