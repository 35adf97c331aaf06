-- Add up the hours that have ended since the last time, and the last three once more: a transaction may be late.
-- locks: the hourly rows
-- index: tds_metrics primary key, tds_metric_hours primary key
INSERT INTO tds_metric_hours AS known
    (hour, entity_type, processed, succeeded, failed, retried, dead, created, deleted, latency_sum_ms, latency_max_ms,
     latency_counts)
SELECT date_trunc('hour', minute, 'UTC') AS hour, entity_type, sum(processed), sum(succeeded), sum(failed),
       sum(retried), sum(dead), sum(created), sum(deleted), sum(latency_sum_ms), max(latency_max_ms),
       ARRAY[sum(latency_counts[1]), sum(latency_counts[2]), sum(latency_counts[3]), sum(latency_counts[4]),
             sum(latency_counts[5]), sum(latency_counts[6]), sum(latency_counts[7]), sum(latency_counts[8]),
             sum(latency_counts[9]), sum(latency_counts[10]), sum(latency_counts[11]), sum(latency_counts[12]),
             sum(latency_counts[13]), sum(latency_counts[14])]
FROM tds_metrics
WHERE minute >= LEAST(COALESCE((SELECT max(hour) FROM tds_metric_hours) + interval '1 hour', '-infinity'),
                      date_trunc('hour', now() - interval '3 hours', 'UTC'))
  AND minute < date_trunc('hour', now() - interval '5 minutes', 'UTC')
GROUP BY 1, 2
ORDER BY 1, 2
ON CONFLICT (hour, entity_type) DO UPDATE
    SET processed = excluded.processed, succeeded = excluded.succeeded, failed = excluded.failed,
        retried = excluded.retried, dead = excluded.dead, created = excluded.created, deleted = excluded.deleted,
        latency_sum_ms = excluded.latency_sum_ms, latency_max_ms = excluded.latency_max_ms,
        latency_counts = excluded.latency_counts
