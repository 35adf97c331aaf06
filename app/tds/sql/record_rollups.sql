-- Add a batch's results to this minute's rollups: one row an entity type, a worker's own. Without a worker's name the
-- rows are those of this connection, which nobody else uses at the same time.
-- locks: the rows, in key order; nobody else writes them
-- index: tds_metrics primary key; no indexed column changes, so the update stays on its page (HOT)
INSERT INTO tds_metrics AS known
    (minute, worker_id, entity_type, processed, succeeded, failed, retried, dead, created, deleted, latency_sum_ms,
     latency_max_ms, latency_counts, last_at, newest_change_at)
SELECT date_trunc('minute', statement_timestamp(), 'UTC'),
       COALESCE(CAST(:worker AS text), 'connection-' || pg_backend_pid()), entity_type,
       succeeded + retried + dead, succeeded, retried + dead, retried, dead, created, deleted, latency_sum_ms,
       latency_max_ms, CAST(latency_counts AS int[]), CASE WHEN succeeded > 0 THEN statement_timestamp() END,
       newest_change_at
FROM unnest(CAST(:entity_types AS text[]), CAST(:succeeded AS int[]), CAST(:retried AS int[]), CAST(:dead AS int[]),
            CAST(:created AS int[]), CAST(:deleted AS int[]), CAST(:latency_sums AS double precision[]),
            CAST(:latency_maxima AS double precision[]), CAST(:latency_counts AS text[]),
            CAST(:newest_changes AS timestamptz[]))
    AS batch (entity_type, succeeded, retried, dead, created, deleted, latency_sum_ms, latency_max_ms, latency_counts,
              newest_change_at)
ORDER BY entity_type
ON CONFLICT (minute, worker_id, entity_type) DO UPDATE
    SET processed = known.processed + excluded.processed,
        succeeded = known.succeeded + excluded.succeeded,
        failed = known.failed + excluded.failed,
        retried = known.retried + excluded.retried,
        dead = known.dead + excluded.dead,
        created = known.created + excluded.created,
        deleted = known.deleted + excluded.deleted,
        latency_sum_ms = known.latency_sum_ms + excluded.latency_sum_ms,
        latency_max_ms = GREATEST(known.latency_max_ms, excluded.latency_max_ms),
        latency_counts = ARRAY[
            known.latency_counts[1] + excluded.latency_counts[1], known.latency_counts[2] + excluded.latency_counts[2],
            known.latency_counts[3] + excluded.latency_counts[3], known.latency_counts[4] + excluded.latency_counts[4],
            known.latency_counts[5] + excluded.latency_counts[5], known.latency_counts[6] + excluded.latency_counts[6],
            known.latency_counts[7] + excluded.latency_counts[7], known.latency_counts[8] + excluded.latency_counts[8],
            known.latency_counts[9] + excluded.latency_counts[9],
            known.latency_counts[10] + excluded.latency_counts[10],
            known.latency_counts[11] + excluded.latency_counts[11],
            known.latency_counts[12] + excluded.latency_counts[12],
            known.latency_counts[13] + excluded.latency_counts[13],
            known.latency_counts[14] + excluded.latency_counts[14]],
        last_at = GREATEST(known.last_at, excluded.last_at),
        newest_change_at = GREATEST(known.newest_change_at, excluded.newest_change_at)
