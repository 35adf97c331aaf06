-- Which of the entities that documents refer to exist here, and under which local id.
-- locks: none
-- index: tds_entities primary key; the LATERAL keeps it a lookup by key whatever the statistics say
SELECT wanted.source, wanted.entity_type, wanted.source_entity_id, entity.local_id
FROM unnest(CAST(:sources AS text[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]))
    AS wanted (source, entity_type, source_entity_id)
CROSS JOIN LATERAL (
    SELECT local_id
    FROM tds_entities
    WHERE tds_entities.source = wanted.source
      AND tds_entities.entity_type = wanted.entity_type
      AND tds_entities.source_entity_id = wanted.source_entity_id
      AND tds_entities.local_id IS NOT NULL
      AND NOT tds_entities.deleted
) AS entity
