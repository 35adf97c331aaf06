-- Let a run rest until its source can be asked again, or, without a reason, lay it down for another reader.
-- locks: the run's row
-- index: tds_sync_runs primary key
UPDATE tds_sync_runs
SET locked_by = NULL,
    lock_expires_at = NULL,
    next_attempt_at = now() + CAST(:wait AS interval),
    attempts = attempts + CAST(:spent AS int),
    error_summary = COALESCE(CAST(:why AS text), error_summary)
WHERE id = CAST(:id AS uuid)
  AND status = 'processing'
  AND locked_by = CAST(:worker AS text)
  AND lease_token = CAST(:token AS int)
