-- Entity types: how many entities there are, when a change was last settled, the newest change applied.
-- The totals as last counted, and what the rollups have added since.
-- locks: none
-- index: tds_metrics primary key; tds_entity_totals is a row a type
WITH recent AS (
    SELECT metric.entity_type, sum(metric.created - metric.deleted) AS grown, max(metric.last_at) AS last_at,
           max(metric.newest_change_at) AS newest_change_at
    FROM tds_metrics AS metric
    LEFT JOIN tds_entity_totals AS total USING (entity_type)
    WHERE metric.minute >= COALESCE((SELECT min(counted_from) FROM tds_entity_totals), '-infinity')
      AND (total.counted_from IS NULL OR metric.minute >= total.counted_from)
    GROUP BY metric.entity_type
)
SELECT entity_type, CAST(COALESCE(total.counted, 0) + COALESCE(recent.grown, 0) AS bigint) AS total_synced,
       GREATEST(total.last_sync_at, recent.last_at) AS last_sync,
       GREATEST(total.newest_change_at, recent.newest_change_at) AS newest_change_at
FROM tds_entity_totals AS total
FULL JOIN recent USING (entity_type)
ORDER BY entity_type
