-- Store a page of polled records.
-- locks: none
-- index: none
INSERT INTO tds_inbox_events
    (id, source, entity_type, source_entity_id, operation, body, content_hash, signature, run_id, trace_id)
SELECT record.id, CAST(:source AS text), record.entity_type, record.source_entity_id, record.operation, record.body,
       sha256(record.body), 'not_applicable', CAST(:run_id AS uuid), CAST(:trace_id AS text)
FROM unnest(CAST(:ids AS uuid[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]),
            CAST(:operations AS text[]), CAST(:bodies AS bytea[]))
    AS record (id, entity_type, source_entity_id, operation, body)
