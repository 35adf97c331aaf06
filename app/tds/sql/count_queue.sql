-- Count all that waits, exactly: each state by its own partial index, so that finished rows cost nothing.
-- locks: none
-- index: ix_tds_sync_queue_oldest, ix_tds_sync_queue_lease, ix_tds_sync_queue_retry, ix_tds_dead_letter_queue_open
SELECT (SELECT count(*) FROM tds_sync_queue WHERE status = 'pending') AS pending,
       (SELECT count(*) FROM tds_sync_queue WHERE status = 'processing') AS processing,
       (SELECT count(*) FROM tds_sync_queue WHERE status = 'retry') AS retry,
       (SELECT count(*) FROM tds_sync_queue WHERE status = 'retry' AND next_retry_at <= now()) AS retry_ready,
       (SELECT count(*) FROM tds_sync_queue WHERE status = 'processing' AND lock_expires_at < now()) AS stale,
       (SELECT count(*) FROM tds_dead_letter_queue WHERE NOT resolved) AS letters,
       CAST(COALESCE((SELECT EXTRACT(epoch FROM now() - created_at)
                      FROM tds_sync_queue WHERE status = 'pending' ORDER BY id LIMIT 1), 0) AS double precision)
           AS oldest
