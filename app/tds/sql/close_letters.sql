-- Close letters, each as its own entries of :resolutions, :notes, :queued and :payloads say.
-- locks: letters that the caller has locked already
-- index: tds_dead_letter_queue primary key
UPDATE tds_dead_letter_queue
SET resolved = true,
    resolved_at = now(),
    resolved_by = CAST(:actor AS text),
    resolution = CAST(:resolutions AS jsonb) ->> CAST(id AS text),
    resolution_notes = CAST(:notes AS jsonb) ->> CAST(id AS text),
    reprocessed_as = CAST(CAST(:queued AS jsonb) ->> CAST(id AS text) AS uuid),
    last_payload = COALESCE(CAST(:payloads AS jsonb) -> CAST(id AS text), last_payload)
WHERE id = ANY (CAST(:ids AS uuid[]))
  AND NOT resolved
