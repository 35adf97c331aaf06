-- Rollups from :since to :until (whole minutes), by entity type: full hours from the hourly sums as far as there are
-- any, the rest from the minutes. :first_hour is the first full hour, :last_hour the hour that holds :until.
-- locks: none
-- index: tds_metrics primary key, tds_metric_hours primary key
WITH closed AS MATERIALIZED (
    SELECT LEAST(COALESCE((SELECT max(hour) FROM tds_metric_hours) + interval '1 hour', '-infinity'),
                 CAST(:last_hour AS timestamptz)) AS until
), part AS (
    SELECT entity_type, processed, succeeded, failed, retried, dead, created, deleted, latency_sum_ms, latency_max_ms,
           latency_counts
    FROM tds_metrics
    WHERE minute >= CAST(:since AS timestamptz)
      AND minute < LEAST(CAST(:first_hour AS timestamptz), CAST(:until AS timestamptz))
    UNION ALL
    SELECT entity_type, processed, succeeded, failed, retried, dead, created, deleted, latency_sum_ms, latency_max_ms,
           latency_counts
    FROM tds_metric_hours
    WHERE hour >= CAST(:first_hour AS timestamptz) AND hour < (SELECT until FROM closed)
    UNION ALL
    SELECT entity_type, processed, succeeded, failed, retried, dead, created, deleted, latency_sum_ms, latency_max_ms,
           latency_counts
    FROM tds_metrics
    WHERE minute >= GREATEST(CAST(:first_hour AS timestamptz), (SELECT until FROM closed))
      AND minute < CAST(:until AS timestamptz)
)
SELECT entity_type,
       sum(processed) AS processed, sum(succeeded) AS succeeded,
       sum(failed) AS failed, sum(retried) AS retried,
       sum(dead) AS dead, sum(created) AS created,
       sum(deleted) AS deleted, sum(latency_sum_ms) AS latency_sum_ms,
       max(latency_max_ms) AS latency_max_ms,
       ARRAY[sum(latency_counts[1]), sum(latency_counts[2]), sum(latency_counts[3]), sum(latency_counts[4]),
                  sum(latency_counts[5]), sum(latency_counts[6]), sum(latency_counts[7]), sum(latency_counts[8]),
                  sum(latency_counts[9]), sum(latency_counts[10]), sum(latency_counts[11]), sum(latency_counts[12]),
                  sum(latency_counts[13]), sum(latency_counts[14])] AS latency_counts
FROM part
GROUP BY entity_type
ORDER BY entity_type
