-- Write ledger rows that this transaction has locked or opened, as they are given. A row for each comes back.
-- locks: rows that are locked already
-- index: tds_entities primary key, from behind (see lock_entities), and nothing but the place found by it
UPDATE tds_entities
SET local_id = entity.local_id,
    version_time = entity.version_time,
    version_arrival = entity.version_arrival,
    barrier_arrival = entity.barrier_arrival,
    barrier_time = entity.barrier_time,
    barrier_deleted = entity.barrier_deleted,
    deleted = entity.deleted,
    last_applied_at = CASE WHEN entity.version_time IS NOT NULL OR entity.barrier_time IS NOT NULL THEN now() END
FROM unnest(CAST(:sources AS text[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]),
            CAST(:local_ids AS text[]), CAST(:version_times AS timestamptz[]), CAST(:version_arrivals AS bigint[]),
            CAST(:barrier_arrivals AS bigint[]), CAST(:barrier_times AS timestamptz[]),
            CAST(:barrier_deleted AS boolean[]), CAST(:deleted AS boolean[]))
    AS entity (source, entity_type, source_entity_id, local_id, version_time, version_arrival, barrier_arrival,
               barrier_time, barrier_deleted, deleted)
CROSS JOIN LATERAL (
    SELECT ctid AS place
    FROM tds_entities AS known
    WHERE known.source = entity.source
      AND known.entity_type = entity.entity_type
      AND known.source_entity_id BETWEEN entity.source_entity_id AND entity.source_entity_id
    ORDER BY known.source_entity_id DESC
    LIMIT 1
) AS row
WHERE tds_entities.ctid = row.place
RETURNING 1
