-- The heartbeats of a process's workers, what each is doing, and what it has done since it started.
-- locks: the workers' own rows
-- index: tds_workers primary key
INSERT INTO tds_workers (id, host, pid, version, state, batch_size, batch_started_at, processed, failed)
SELECT worker.id, CAST(:host AS text), CAST(:pid AS int), CAST(:version AS text), worker.state, worker.batch_size,
       worker.batch_started_at, worker.processed, worker.failed
FROM unnest(CAST(:ids AS text[]), CAST(:states AS text[]), CAST(:batch_sizes AS int[]),
            CAST(:batch_started_ats AS timestamptz[]), CAST(:processed AS bigint[]), CAST(:failed AS bigint[]))
    AS worker (id, state, batch_size, batch_started_at, processed, failed)
ON CONFLICT (id) DO UPDATE
    SET state = excluded.state, batch_size = excluded.batch_size, batch_started_at = excluded.batch_started_at,
        processed = excluded.processed, failed = excluded.failed, heartbeat_at = now(),
        stopped_at = CASE WHEN excluded.state = 'stopped' THEN now() END
