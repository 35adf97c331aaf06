-- Give a job's lease back after a failure of ours, and say what it was; another worker goes on with it.
-- locks: the job's row
-- index: tds_jobs primary key
UPDATE tds_jobs
SET locked_by = NULL,
    lock_expires_at = NULL,
    last_error = CAST(:error AS text)
WHERE id = CAST(:id AS uuid)
  AND status = 'processing'
  AND locked_by = CAST(:worker AS text)
  AND lease_token = CAST(:token AS int)
