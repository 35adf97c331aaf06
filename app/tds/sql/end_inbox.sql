-- Move inbox events on; what the mapping learned (or complained of) is kept with them, by id, as JSON.
-- locks: the rows
-- index: tds_inbox_events primary key
UPDATE tds_inbox_events
SET status = CAST(:status AS text),
    completed_at = CASE WHEN CAST(:status AS text) IN ('completed', 'dead_letter', 'cancelled') THEN now() END,
    entity_type = COALESCE(entity_type, CAST(:learned AS jsonb) -> CAST(id AS text) ->> 'entity_type'),
    source_entity_id = COALESCE(source_entity_id, CAST(:learned AS jsonb) -> CAST(id AS text) ->> 'source_entity_id'),
    operation = COALESCE(operation, CAST(:learned AS jsonb) -> CAST(id AS text) ->> 'operation'),
    validation_errors = CAST(:learned AS jsonb) -> CAST(id AS text) -> 'errors'
WHERE id = ANY (CAST(:ids AS uuid[])) AND status IN ('pending', 'queued')
