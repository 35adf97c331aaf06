-- Count the ledger, and what of it the rollups of the last minutes have counted too: total = counted + what they say
-- since counted_from, to the entity, because both are seen in one snapshot. Scans the ledger: for one process at a
-- time, now and then. Ten minutes back, because a transaction may be late.
-- locks: the rows of the totals
-- index: tds_metrics primary key; a scan of tds_entities
WITH start AS MATERIALIZED (
    SELECT date_trunc('minute', now() - interval '10 minutes', 'UTC') AS minute
), recent AS (
    SELECT entity_type, sum(created - deleted) AS grown
    FROM tds_metrics
    WHERE minute >= (SELECT minute FROM start) AND minute < now() + interval '1 hour'
    GROUP BY entity_type
), ledger AS (
    SELECT entity_type, count(*) FILTER (WHERE local_id IS NOT NULL AND NOT deleted) AS entities,
           max(last_applied_at) AS last_sync_at, max(version_time) AS newest_change_at
    FROM tds_entities
    GROUP BY entity_type
)
INSERT INTO tds_entity_totals AS known
    (entity_type, counted, counted_from, counted_at, last_sync_at, newest_change_at)
SELECT kind.entity_type, COALESCE(ledger.entities, 0) - COALESCE(recent.grown, 0), (SELECT minute FROM start), now(),
       ledger.last_sync_at, ledger.newest_change_at
FROM unnest(CAST(:entity_types AS text[])) AS kind (entity_type)
LEFT JOIN ledger USING (entity_type)
LEFT JOIN recent USING (entity_type)
ORDER BY kind.entity_type
ON CONFLICT (entity_type) DO UPDATE
    SET counted = excluded.counted, counted_from = excluded.counted_from, counted_at = excluded.counted_at,
        last_sync_at = GREATEST(known.last_sync_at, excluded.last_sync_at),
        newest_change_at = excluded.newest_change_at
