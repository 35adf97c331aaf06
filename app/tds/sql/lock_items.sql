-- Lock those items of a batch whose lease the worker still holds; all it may write depends on this.
-- locks: the rows, in id order
-- index: tds_sync_queue primary key
SELECT id, clock_timestamp() AS now
FROM tds_sync_queue
WHERE id = ANY (CAST(:ids AS uuid[]))
  AND status = 'processing'
  AND locked_by = CAST(:worker AS text)
  AND lock_expires_at > clock_timestamp()
  AND lease_token = CAST(CAST(:tokens AS jsonb) ->> CAST(id AS text) AS int)
ORDER BY id
FOR UPDATE
