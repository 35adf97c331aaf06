-- Move on events that this transaction has taken, with what the mapping learned of each.
-- locks: rows that claim_inbox holds already
-- index: tds_inbox_events primary key
UPDATE tds_inbox_events
SET status = CAST(:status AS text),
    completed_at = CASE WHEN CAST(:status AS text) = 'completed' THEN now() END,
    entity_type = COALESCE(tds_inbox_events.entity_type, learned.entity_type),
    source_entity_id = COALESCE(tds_inbox_events.source_entity_id, learned.source_entity_id),
    operation = COALESCE(tds_inbox_events.operation, learned.operation)
FROM unnest(CAST(:ids AS uuid[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]),
            CAST(:operations AS text[])) AS learned (id, entity_type, source_entity_id, operation)
WHERE tds_inbox_events.id = learned.id
  AND tds_inbox_events.id = ANY (CAST(:ids AS uuid[]))
