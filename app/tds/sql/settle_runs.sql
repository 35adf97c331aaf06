-- Complete the runs whose pages have all been read and whose items have all ended.
-- locks: the run rows
-- index: tds_sync_runs primary key
UPDATE tds_sync_runs
SET status = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'completed' END,
    completed_at = now(),
    locked_by = NULL,
    lock_expires_at = NULL,
    error_summary = CASE WHEN failed_events > 0
        THEN failed_events || ' of ' || processed_events || ' items failed; see their dead letters' END
WHERE id = ANY (CAST(:ids AS uuid[]))
  AND managed AND status = 'processing' AND scan_completed AND processed_events >= total_events
RETURNING id, status, entity_type, processed_events, successful_events, failed_events, skipped_events,
          CAST(EXTRACT(epoch FROM now() - COALESCE(started_at, created_at)) AS double precision) AS duration_seconds
