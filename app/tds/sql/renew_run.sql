-- Extend the lease on a run; one that has ended is lost, even if nobody took it.
-- locks: the run's row
-- index: tds_sync_runs primary key
UPDATE tds_sync_runs
SET lock_expires_at = now() + CAST(:lease AS interval)
WHERE id = CAST(:id AS uuid)
  AND status = 'processing'
  AND locked_by = CAST(:worker AS text)
  AND lease_token = CAST(:token AS int)
  AND lock_expires_at > clock_timestamp()
RETURNING id
