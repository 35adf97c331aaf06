-- Store one delivery, and tell whether the same bytes came before: a repeat is stored cancelled.
-- locks: the dedupe key; two deliveries of the same bytes wait for each other here
-- index: tds_dedupe_keys primary key
WITH seen AS (
    INSERT INTO tds_dedupe_keys AS known (source, key, event_id, expires_at)
    VALUES (CAST(:source AS text), CAST(:key AS bytea), CAST(:id AS uuid), now() + CAST(:window AS interval))
    ON CONFLICT (source, key) DO UPDATE
        SET event_id = CASE WHEN known.expires_at < now() THEN excluded.event_id ELSE known.event_id END,
            expires_at = CASE WHEN known.expires_at < now() THEN excluded.expires_at ELSE known.expires_at END,
            deliveries = known.deliveries + 1,
            last_seen_at = now()
    RETURNING event_id
)
INSERT INTO tds_inbox_events
    (id, source, entity_type, source_entity_id, operation, body, headers, content_hash, signature, trace_id,
     status, duplicate_of, completed_at)
SELECT CAST(:id AS uuid), CAST(:source AS text), CAST(:entity_type AS text), CAST(:source_entity_id AS text),
       CAST(:operation AS text), CAST(:body AS bytea), CAST(:headers AS jsonb), CAST(:content_hash AS bytea),
       CAST(:signature AS text), CAST(:trace_id AS text),
       CASE WHEN seen.event_id = CAST(:id AS uuid) THEN 'pending' ELSE 'cancelled' END,
       NULLIF(seen.event_id, CAST(:id AS uuid)),
       CASE WHEN seen.event_id = CAST(:id AS uuid) THEN NULL ELSE now() END
FROM seen
RETURNING status, duplicate_of
