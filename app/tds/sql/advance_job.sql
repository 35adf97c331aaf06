-- Count what was done of a job and give its lease back; without a next cursor, it is completed.
-- locks: the job's row, which hold_job has locked already
-- index: tds_jobs primary key
UPDATE tds_jobs
SET cursor_id = COALESCE(CAST(:cursor AS uuid), cursor_id),
    done = done + CAST(:succeeded AS int) + CAST(:failed AS int),
    succeeded = succeeded + CAST(:succeeded AS int),
    failed = failed + CAST(:failed AS int),
    last_error = COALESCE(CAST(:error AS text), last_error),
    status = CASE WHEN CAST(:cursor AS uuid) IS NULL THEN 'completed' ELSE status END,
    completed_at = CASE WHEN CAST(:cursor AS uuid) IS NULL THEN now() END,
    locked_by = NULL,
    lock_expires_at = NULL
WHERE id = CAST(:id AS uuid)
