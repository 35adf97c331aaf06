-- Give items back that the worker has claimed and not begun: nothing is spent.
-- locks: the rows
-- index: tds_sync_queue primary key
UPDATE tds_sync_queue
SET status = 'pending', locked_by = NULL, lock_expires_at = NULL
WHERE id = ANY (CAST(:ids AS uuid[]))
  AND status = 'processing'
  AND locked_by = CAST(:worker AS text)
  AND lease_token = CAST(CAST(:tokens AS jsonb) ->> CAST(id AS text) AS int)
