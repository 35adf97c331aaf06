-- What alerts ask of unfinished work: items in processing for too long, the run that has been so for longest since a
-- person last touched it, and letters that are open and newer than :letters_from.
-- locks: none
-- index: ix_tds_sync_queue_lease, ix_tds_sync_runs_open, ix_tds_dead_letter_queue_open, ix_tds_audit_trail_entity
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM tds_sync_queue
            WHERE status = 'processing' AND lock_expires_at <= now() - CAST(:stale_after AS interval)
            ORDER BY lock_expires_at LIMIT CAST(:limit AS int)) AS item) AS stale_items,
       CAST(COALESCE((SELECT GREATEST(EXTRACT(epoch FROM now() - lock_expires_at), 0)
                      FROM tds_sync_queue WHERE status = 'processing' ORDER BY lock_expires_at LIMIT 1), 0)
            AS double precision) AS oldest_item_seconds,
       (SELECT count(*) FROM (
            SELECT 1 FROM tds_dead_letter_queue
            WHERE NOT resolved AND id >= CAST(:letters_from AS uuid)
            ORDER BY id LIMIT CAST(:limit AS int)) AS letter) AS new_letters,
       run.id AS run_id, run.entity_type AS run_type, run.seconds AS run_seconds
FROM (VALUES (1)) AS one (row)
LEFT JOIN LATERAL (
    SELECT id, entity_type,
           CAST(GREATEST(EXTRACT(epoch FROM now() - GREATEST(COALESCE(started_at, created_at), (
               SELECT max(action.created_at) FROM tds_audit_trail AS action
               WHERE action.entity_id = CAST(open_run.id AS text) AND action.entity_type = 'sync_run'))), 0)
               AS double precision) AS seconds
    FROM tds_sync_runs AS open_run
    WHERE status IN ('pending', 'processing') AND status = 'processing'
    ORDER BY seconds DESC, id
    LIMIT 1
) AS run ON true
