-- Delete what is too old of rollups and samples, a bounded number of each, and workers that have been gone as long.
-- locks: the rows, which nobody writes any more
-- index: primary keys of tds_metrics, tds_metric_hours and tds_queue_samples; tds_workers is small
WITH minutes AS (
    DELETE FROM tds_metrics
    WHERE (minute, worker_id, entity_type) IN (
        SELECT minute, worker_id, entity_type FROM tds_metrics
        WHERE minute < date_trunc('hour', now() - CAST(:age AS interval), 'UTC')
        ORDER BY minute, worker_id, entity_type
        LIMIT CAST(:limit AS int))
    RETURNING 1
), hours AS (
    DELETE FROM tds_metric_hours
    WHERE (hour, entity_type) IN (
        SELECT hour, entity_type FROM tds_metric_hours
        WHERE hour < now() - CAST(:hours_age AS interval)
        ORDER BY hour, entity_type
        LIMIT CAST(:limit AS int))
    RETURNING 1
), samples AS (
    DELETE FROM tds_queue_samples
    WHERE minute IN (
        SELECT minute FROM tds_queue_samples
        WHERE minute < now() - CAST(:age AS interval)
        ORDER BY minute
        LIMIT CAST(:limit AS int))
    RETURNING 1
), workers AS (
    DELETE FROM tds_workers WHERE heartbeat_at < now() - CAST(:age AS interval)
    RETURNING 1
)
SELECT (SELECT count(*) FROM minutes) + (SELECT count(*) FROM hours) + (SELECT count(*) FROM samples)
     + (SELECT count(*) FROM workers)
