-- Count all that waits, and keep it: one row a minute, the last look of that minute. Reads every unfinished row, so it
-- is for one process at a time, now and then.
-- locks: the row
-- index: ix_tds_sync_queue_oldest, ix_tds_sync_queue_lease, ix_tds_sync_queue_retry, ix_tds_dead_letter_queue_open,
--   ix_tds_inbox_events_pending, tds_queue_samples primary key
WITH waiting AS MATERIALIZED (
    SELECT entity_type, count(*) AS pending, min(created_at) AS oldest
    FROM tds_sync_queue WHERE status = 'pending' GROUP BY entity_type
)
INSERT INTO tds_queue_samples
    (minute, sampled_at, pending, processing, retry, retry_ready, stale, dead_letter, inbox, oldest_pending_seconds,
     pending_by_type)
SELECT date_trunc('minute', now(), 'UTC'), now(),
       COALESCE((SELECT sum(pending) FROM waiting), 0),
       (SELECT count(*) FROM tds_sync_queue WHERE status = 'processing'),
       (SELECT count(*) FROM tds_sync_queue WHERE status = 'retry'),
       (SELECT count(*) FROM tds_sync_queue WHERE status = 'retry' AND next_retry_at <= now()),
       (SELECT count(*) FROM tds_sync_queue
        WHERE status = 'processing' AND lock_expires_at <= now() - CAST(:stale_after AS interval)),
       (SELECT count(*) FROM tds_dead_letter_queue WHERE NOT resolved),
       (SELECT count(*) FROM tds_inbox_events WHERE status = 'pending'),
       COALESCE((SELECT GREATEST(EXTRACT(epoch FROM now() - min(oldest)), 0) FROM waiting), 0),
       COALESCE((SELECT jsonb_object_agg(entity_type, pending) FROM waiting), '{}')
ON CONFLICT (minute) DO UPDATE
    SET sampled_at = excluded.sampled_at, pending = excluded.pending, processing = excluded.processing,
        retry = excluded.retry, retry_ready = excluded.retry_ready, stale = excluded.stale,
        dead_letter = excluded.dead_letter, inbox = excluded.inbox,
        oldest_pending_seconds = excluded.oldest_pending_seconds, pending_by_type = excluded.pending_by_type
