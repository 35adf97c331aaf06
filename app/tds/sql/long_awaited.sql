-- Entities that items have waited for a while, each once.
-- locks: none
-- index: ix_tds_sync_queue_waits_for
SELECT DISTINCT source, waits_for
FROM tds_sync_queue
WHERE waits_for >= 'entity:' AND waits_for < 'entity;'
  AND status = 'retry' AND deferrals >= CAST(:deferrals AS int)
ORDER BY waits_for
LIMIT CAST(:limit AS int)
