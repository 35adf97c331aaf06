-- Workers whose heart beat within :age, those of one process together, the newest process first.
-- locks: none
-- index: none; housekeeping keeps the table small
SELECT id, regexp_replace(id, '-\d+$', '') AS process, host, pid, version, state, batch_size, batch_started_at,
       processed, failed, started_at, heartbeat_at, stopped_at,
       state <> 'stopped' AND heartbeat_at > now() - interval '30 seconds' AS alive,
       state <> 'stopped' AND heartbeat_at <= now() - CAST(:lost_after AS interval) AS lost
FROM tds_workers
WHERE heartbeat_at > now() - CAST(:age AS interval)
ORDER BY started_at DESC, id
LIMIT CAST(:limit AS int)
