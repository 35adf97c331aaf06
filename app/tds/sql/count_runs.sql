-- Add a batch's results to the counters of its runs: :counts holds {run id: {succeeded, failed, skipped}}.
-- locks: the run rows, in id order; last of all locks of a batch, and held only over its commit
-- index: tds_sync_runs primary key
WITH locked AS MATERIALIZED (
    SELECT id FROM tds_sync_runs WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
)
UPDATE tds_sync_runs AS run
SET successful_events = run.successful_events
        + CAST(CAST(:counts AS jsonb) -> CAST(run.id AS text) ->> 'succeeded' AS int),
    failed_events = run.failed_events + CAST(CAST(:counts AS jsonb) -> CAST(run.id AS text) ->> 'failed' AS int),
    skipped_events = run.skipped_events + CAST(CAST(:counts AS jsonb) -> CAST(run.id AS text) ->> 'skipped' AS int),
    processed_events = run.processed_events
        + CAST(CAST(:counts AS jsonb) -> CAST(run.id AS text) ->> 'succeeded' AS int)
        + CAST(CAST(:counts AS jsonb) -> CAST(run.id AS text) ->> 'failed' AS int)
        + CAST(CAST(:counts AS jsonb) -> CAST(run.id AS text) ->> 'skipped' AS int)
FROM locked
WHERE run.id = locked.id
