-- A series of rollups over all workers, a point a minute or (:step) an hour; hours that are not closed yet are added
-- up from their minutes. :last_hour is the hour that holds :until; both spans are bounded by the caller.
-- locks: none
-- index: tds_metrics primary key, tds_metric_hours primary key
WITH closed AS MATERIALIZED (
    SELECT CASE WHEN CAST(:step AS text) = 'hour'
                THEN GREATEST(LEAST(COALESCE((SELECT max(hour) FROM tds_metric_hours) + interval '1 hour', '-infinity'),
                                    CAST(:last_hour AS timestamptz)), CAST(:since AS timestamptz))
                ELSE CAST(:since AS timestamptz) END AS until
), part AS (
    SELECT hour AS at, entity_type, processed, succeeded, failed, retried, dead, created, deleted, latency_sum_ms,
           latency_max_ms, latency_counts
    FROM tds_metric_hours
    WHERE hour >= CAST(:since AS timestamptz) AND hour < (SELECT until FROM closed)
    UNION ALL
    SELECT date_trunc(CAST(:step AS text), minute, 'UTC'), entity_type, processed, succeeded, failed, retried, dead,
           created, deleted, latency_sum_ms, latency_max_ms, latency_counts
    FROM tds_metrics
    WHERE minute >= (SELECT until FROM closed) AND minute < CAST(:until AS timestamptz)
)
SELECT at,
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
WHERE CAST(:entity_type AS text) IS NULL OR entity_type = CAST(:entity_type AS text)
GROUP BY at
ORDER BY at
