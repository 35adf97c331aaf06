-- Lock the ledger rows of a batch's entities: from here on this transaction is their only writer.
-- locks: the rows, in key order, so that two batches with common entities cannot lock each other out
-- index: tds_entities primary key; the LATERAL keeps it a lookup by key whatever the statistics say
SELECT entity.source, entity.entity_type, entity.source_entity_id, entity.local_id, entity.version_time,
       entity.version_arrival, entity.barrier_arrival, entity.deleted, entity.barrier_time, entity.barrier_deleted
FROM (
    SELECT DISTINCT source, entity_type, source_entity_id
    FROM unnest(CAST(:sources AS text[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]))
        AS wanted (source, entity_type, source_entity_id)
    ORDER BY source, entity_type, source_entity_id
) AS wanted
CROSS JOIN LATERAL (
    SELECT *
    FROM tds_entities
    WHERE tds_entities.source = wanted.source
      AND tds_entities.entity_type = wanted.entity_type
      AND tds_entities.source_entity_id = wanted.source_entity_id
    FOR UPDATE
) AS entity
