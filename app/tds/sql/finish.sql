-- End a batch's items, each as its own entry of :ends says (status, outcome, target, due, waits_for, spent, errors).
-- locks: rows that lock_items holds already
-- index: tds_sync_queue primary key
UPDATE tds_sync_queue
SET status = CAST(:ends AS jsonb) -> CAST(id AS text) ->> 'status',
    outcome = CAST(:ends AS jsonb) -> CAST(id AS text) ->> 'outcome',
    target_entity_id = COALESCE(CAST(:ends AS jsonb) -> CAST(id AS text) ->> 'target', target_entity_id),
    next_retry_at = CAST(CAST(:ends AS jsonb) -> CAST(id AS text) ->> 'due' AS timestamptz),
    waits_for = CAST(:ends AS jsonb) -> CAST(id AS text) ->> 'waits_for',
    deferrals = deferrals + COALESCE(CAST(CAST(:ends AS jsonb) -> CAST(id AS text) ->> 'deferred' AS int), 0),
    attempts = attempts + COALESCE(CAST(CAST(:ends AS jsonb) -> CAST(id AS text) ->> 'spent' AS int), 0),
    errors = errors || COALESCE(CAST(:ends AS jsonb) -> CAST(id AS text) -> 'errors', '[]'),
    completed_at = CASE WHEN CAST(:ends AS jsonb) -> CAST(id AS text) ->> 'status'
                             IN ('completed', 'dead_letter', 'cancelled') THEN now() END,
    locked_by = NULL,
    lock_expires_at = NULL
WHERE id = ANY (CAST(:ids AS uuid[]))
