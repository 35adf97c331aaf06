-- Lock the ledger rows of a batch's entities: from here on this transaction is their only writer. With :all, none of them
-- unless every one of the entities has a row.
-- locks: the rows, in key order, so that two batches with common entities cannot lock each other out
-- index: tds_entities primary key, from behind: the newest version of a row stands last, after those that are dead and
-- that an old snapshot may keep by the hundred; the LATERAL keeps it a lookup by key whatever the statistics say
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT source, entity_type, source_entity_id
    FROM unnest(CAST(:sources AS text[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]))
        AS wanted (source, entity_type, source_entity_id)
    ORDER BY source, entity_type, source_entity_id
)
SELECT entity.source, entity.entity_type, entity.source_entity_id, entity.local_id, entity.version_time,
       entity.version_arrival, entity.barrier_arrival, entity.deleted, entity.barrier_time, entity.barrier_deleted
FROM wanted
CROSS JOIN LATERAL (
    SELECT *
    FROM tds_entities
    WHERE tds_entities.source = wanted.source
      AND tds_entities.entity_type = wanted.entity_type
      AND tds_entities.source_entity_id BETWEEN wanted.source_entity_id AND wanted.source_entity_id
    ORDER BY tds_entities.source_entity_id DESC
    LIMIT 1
    FOR UPDATE
) AS entity
WHERE NOT CAST(:all AS boolean)
   OR NOT EXISTS (
       SELECT 1
       FROM wanted AS one
       WHERE (SELECT tds_entities.source_entity_id
              FROM tds_entities
              WHERE tds_entities.source = one.source
                AND tds_entities.entity_type = one.entity_type
                AND tds_entities.source_entity_id BETWEEN one.source_entity_id AND one.source_entity_id
              ORDER BY tds_entities.source_entity_id DESC
              LIMIT 1) IS NULL
   )
