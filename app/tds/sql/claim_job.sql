-- Lease the oldest job that is open and that nobody works on.
-- locks: the job's row; one that another worker is claiming is passed over
-- index: ix_tds_jobs_open
UPDATE tds_jobs
SET status = 'processing',
    locked_by = CAST(:worker AS text),
    lease_token = lease_token + 1,
    lock_expires_at = clock_timestamp() + CAST(:lease AS interval),
    started_at = COALESCE(started_at, now())
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_jobs
    WHERE status IN ('pending', 'processing')
      AND (lock_expires_at IS NULL OR lock_expires_at <= clock_timestamp())
    ORDER BY id
    LIMIT 1
    FOR UPDATE SKIP LOCKED))
RETURNING id, lease_token, kind, CAST(criteria AS text) AS criteria, note, requested_by
