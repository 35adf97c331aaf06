-- A worker's heartbeat, and what it has done since it started.
-- locks: the worker's own row
-- index: tds_workers primary key
INSERT INTO tds_workers (id, host, pid, version, state, processed, failed)
VALUES (CAST(:id AS text), CAST(:host AS text), CAST(:pid AS int), CAST(:version AS text), CAST(:state AS text),
        CAST(:processed AS bigint), CAST(:failed AS bigint))
ON CONFLICT (id) DO UPDATE
    SET state = excluded.state, processed = excluded.processed, failed = excluded.failed, heartbeat_at = now(),
        stopped_at = CASE WHEN excluded.state = 'stopped' THEN now() END
