-- What paused items wait for, each once: a walk from key to key, however many items there are.
-- locks: none
-- index: ix_tds_sync_queue_waits_for
WITH RECURSIVE waits AS (
    (SELECT waits_for FROM tds_sync_queue
     WHERE waits_for >= 'pause:' AND waits_for < 'pause;'
     ORDER BY waits_for LIMIT 1)
    UNION ALL
    SELECT (SELECT next.waits_for FROM tds_sync_queue AS next
            WHERE next.waits_for > waits.waits_for AND next.waits_for < 'pause;'
            ORDER BY next.waits_for LIMIT 1)
    FROM waits
    WHERE waits.waits_for IS NOT NULL
)
SELECT waits_for FROM waits WHERE waits_for IS NOT NULL
