-- Make this transaction depend on the lease of a job: whoever cancels it, or takes it up, waits for our end.
-- locks: the job's row
-- index: tds_jobs primary key
SELECT cursor_id, upper_id
FROM tds_jobs
WHERE id = CAST(:id AS uuid)
  AND status = 'processing'
  AND locked_by = CAST(:worker AS text)
  AND lease_token = CAST(:token AS int)
  AND lock_expires_at > clock_timestamp()
FOR UPDATE
