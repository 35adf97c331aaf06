-- Open a ledger row for every entity that has none, so that the apply finds a row to lock.
-- locks: the new rows, in key order; rows that exist are not touched
-- index: tds_entities primary key
INSERT INTO tds_entities (source, entity_type, source_entity_id)
SELECT DISTINCT entity.source, entity.entity_type, entity.source_entity_id
FROM unnest(CAST(:sources AS text[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]))
    AS entity (source, entity_type, source_entity_id)
ORDER BY entity.source, entity.entity_type, entity.source_entity_id
ON CONFLICT DO NOTHING
