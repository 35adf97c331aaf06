-- Resolve the open letters of entities for which something newer has been applied.
-- locks: the letters
-- index: ix_tds_dead_letter_queue_entity
UPDATE tds_dead_letter_queue AS letter
SET resolved = true,
    resolved_at = now(),
    resolved_by = 'tds',
    resolution = 'superseded',
    resolution_notes = 'A newer version of the entity was applied.'
WHERE letter.source_entity_id = ANY (CAST(:source_entity_ids AS text[]))
  AND NOT letter.resolved
  AND EXISTS (
      SELECT 1
      FROM unnest(CAST(:sources AS text[]), CAST(:entity_types AS text[]), CAST(:source_entity_ids AS text[]),
                  CAST(:version_times AS timestamptz[]), CAST(:arrivals AS bigint[]))
          AS applied (source, entity_type, source_entity_id, version_time, arrival)
      WHERE applied.source = letter.source
        AND applied.entity_type = letter.entity_type
        AND applied.source_entity_id = letter.source_entity_id
        AND CASE WHEN letter.version_time IS NULL OR applied.version_time IS NULL
                 THEN applied.arrival > COALESCE(letter.arrival, 0)
                 ELSE (applied.version_time, applied.arrival) > (letter.version_time, COALESCE(letter.arrival, 0)) END)
RETURNING letter.id, letter.entity_type, letter.source_entity_id
