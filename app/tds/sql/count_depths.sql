-- How much waits, each count up to :limit rows, the oldest waiting item's age, and the newest sample. What a fresh
-- sample found to be more than twice :limit is not counted again.
-- Each ORDER BY is its index's: after plan_by_index only unfinished rows are read, whatever the statistics say.
-- locks: none
-- index: ix_tds_sync_queue_oldest, ix_tds_sync_queue_lease, ix_tds_sync_queue_retry, ix_tds_dead_letter_queue_open,
--   ix_tds_inbox_events_pending, tds_queue_samples primary key
WITH sample AS MATERIALIZED (
    SELECT *, sampled_at > now() - interval '2 minutes' AS fresh FROM tds_queue_samples ORDER BY minute DESC LIMIT 1
)
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM tds_sync_queue WHERE status = 'pending' ORDER BY id
            LIMIT CASE WHEN (SELECT fresh AND pending > 2 * CAST(:limit AS bigint) FROM sample)
                       THEN 0 ELSE CAST(:limit AS bigint) END) AS item) AS pending,
       (SELECT count(*) FROM (
            SELECT 1 FROM tds_sync_queue WHERE status = 'processing' ORDER BY lock_expires_at
            LIMIT CASE WHEN (SELECT fresh AND processing > 2 * CAST(:limit AS bigint) FROM sample)
                       THEN 0 ELSE CAST(:limit AS bigint) END) AS item) AS processing,
       (SELECT count(*) FROM (
            SELECT 1 FROM tds_sync_queue WHERE status = 'retry' ORDER BY next_retry_at
            LIMIT CASE WHEN (SELECT fresh AND retry > 2 * CAST(:limit AS bigint) FROM sample)
                       THEN 0 ELSE CAST(:limit AS bigint) END) AS item) AS retry,
       (SELECT count(*) FROM (
            SELECT 1 FROM tds_sync_queue WHERE status = 'retry' AND next_retry_at <= now() ORDER BY next_retry_at
            LIMIT CASE WHEN (SELECT fresh AND retry_ready > 2 * CAST(:limit AS bigint) FROM sample)
                       THEN 0 ELSE CAST(:limit AS bigint) END) AS item) AS retry_ready,
       (SELECT count(*) FROM (
            SELECT 1 FROM tds_sync_queue
            WHERE status = 'processing' AND lock_expires_at <= now() - CAST(:stale_after AS interval)
            ORDER BY lock_expires_at
            LIMIT CASE WHEN (SELECT fresh AND stale > 2 * CAST(:limit AS bigint) FROM sample)
                       THEN 0 ELSE CAST(:limit AS bigint) END) AS item) AS stale,
       (SELECT count(*) FROM (
            SELECT 1 FROM tds_dead_letter_queue WHERE NOT resolved ORDER BY id
            LIMIT CASE WHEN (SELECT fresh AND dead_letter > 2 * CAST(:limit AS bigint) FROM sample)
                       THEN 0 ELSE CAST(:limit AS bigint) END) AS letter) AS dead_letter,
       (SELECT count(*) FROM (
            SELECT 1 FROM tds_inbox_events WHERE status = 'pending' ORDER BY id
            LIMIT CASE WHEN (SELECT fresh AND inbox > 2 * CAST(:limit AS bigint) FROM sample)
                       THEN 0 ELSE CAST(:limit AS bigint) END) AS event) AS inbox,
       CAST(COALESCE((SELECT GREATEST(EXTRACT(epoch FROM now() - created_at), 0)
                      FROM tds_sync_queue WHERE status = 'pending' ORDER BY id LIMIT 1), 0) AS double precision)
           AS oldest_pending_seconds,
       sample.sampled_at, COALESCE(sample.fresh, false) AS fresh,
       sample.pending AS sampled_pending, sample.processing AS sampled_processing, sample.retry AS sampled_retry,
       sample.retry_ready AS sampled_retry_ready, sample.stale AS sampled_stale,
       sample.dead_letter AS sampled_dead_letter, sample.inbox AS sampled_inbox
FROM (VALUES (1)) AS one (row)
LEFT JOIN sample ON true
