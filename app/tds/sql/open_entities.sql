-- Open ledger rows, as they are given, for those entities that have none. The others are left as they are, but locked.
-- What was opened comes back.
-- locks: all these rows, in key order; somebody else who is making one of them is waited for
-- index: tds_entities primary key; an upsert keeps it a lookup by key whatever the statistics say
INSERT INTO tds_entities
    (source, entity_type, source_entity_id, local_id, version_time, version_arrival, barrier_arrival, barrier_time,
     barrier_deleted, deleted, last_applied_at)
SELECT entity.source, entity.entity_type, entity.source_entity_id, entity.local_id, entity.version_time,
       entity.version_arrival, entity.barrier_arrival, entity.barrier_time, entity.barrier_deleted, entity.deleted,
       CASE WHEN entity.version_time IS NOT NULL OR entity.barrier_time IS NOT NULL THEN now() END
FROM unnest(CAST(:sources AS text[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]),
            CAST(:local_ids AS text[]), CAST(:version_times AS timestamptz[]), CAST(:version_arrivals AS bigint[]),
            CAST(:barrier_arrivals AS bigint[]), CAST(:barrier_times AS timestamptz[]),
            CAST(:barrier_deleted AS boolean[]), CAST(:deleted AS boolean[]))
    AS entity (source, entity_type, source_entity_id, local_id, version_time, version_arrival, barrier_arrival,
               barrier_time, barrier_deleted, deleted)
ORDER BY entity.source, entity.entity_type, entity.source_entity_id
ON CONFLICT (source, entity_type, source_entity_id) DO UPDATE SET deleted = excluded.deleted WHERE false
RETURNING source, entity_type, source_entity_id
