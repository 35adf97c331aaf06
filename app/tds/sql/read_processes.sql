-- Processes with workers: those of one process were written down in one statement, so they share their start.
-- locks: none
-- index: none; housekeeping keeps the table small
SELECT regexp_replace(min(id), '-\d+$', '') AS name, host, count(*) AS workers, started_at,
       max(heartbeat_at) AS heartbeat_at,
       CAST(EXTRACT(epoch FROM clock_timestamp() - max(heartbeat_at)) AS double precision) AS silent_seconds,
       bool_and(state = 'stopped') AS stopped
FROM tds_workers
WHERE heartbeat_at > now() - CAST(:age AS interval)
GROUP BY host, pid, started_at
ORDER BY max(heartbeat_at) DESC, name
LIMIT CAST(:limit AS int)
