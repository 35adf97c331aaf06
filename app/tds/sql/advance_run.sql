-- Note that a page of a run has been stored; the last page ends its reading. Only a page that brings the run on
-- begins the count of its attempts anew.
-- locks: the run's row
-- index: tds_sync_runs primary key
UPDATE tds_sync_runs
SET total_events = total_events + CAST(:records AS int),
    pages = pages + 1,
    checkpoint = CAST(:checkpoint AS jsonb),
    scan_completed = CAST(:last AS boolean),
    attempts = CASE WHEN CAST(:records AS int) > 0 AND checkpoint IS DISTINCT FROM CAST(:checkpoint AS jsonb)
                    THEN 0 ELSE attempts END,
    error_summary = NULL,
    locked_by = CASE WHEN CAST(:last AS boolean) THEN NULL ELSE locked_by END,
    lock_expires_at = CASE WHEN CAST(:last AS boolean) THEN NULL ELSE now() + CAST(:lease AS interval) END
WHERE id = CAST(:id AS uuid)
  AND status = 'processing'
  AND locked_by = CAST(:worker AS text)
  AND lease_token = CAST(:token AS int)
  AND lock_expires_at > clock_timestamp()
RETURNING id
