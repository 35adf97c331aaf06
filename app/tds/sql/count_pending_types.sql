-- How much waits of each entity type, looking at no more than :limit items, and the newest sample's answer, which alone
-- is given where a fresh one has found more than twice as many.
-- locks: none
-- index: ix_tds_sync_queue_oldest, tds_queue_samples primary key
WITH sample AS MATERIALIZED (
    SELECT pending, CAST(pending_by_type AS text) AS by_type,
           sampled_at > now() - interval '2 minutes' AND pending > 2 * CAST(:limit AS bigint) AS enough
    FROM tds_queue_samples ORDER BY minute DESC LIMIT 1
)
SELECT NULL AS entity_type, sample.pending, sample.by_type, sample.enough FROM sample
UNION ALL
SELECT entity_type, count(*), NULL, NULL
FROM (SELECT entity_type FROM tds_sync_queue WHERE status = 'pending' ORDER BY id
      LIMIT CASE WHEN (SELECT enough FROM sample) THEN 0 ELSE CAST(:limit AS bigint) END) AS item
GROUP BY entity_type
