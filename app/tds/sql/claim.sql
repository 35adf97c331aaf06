-- Claim a batch: the most urgent, a share for the oldest so that no priority starves, and retries that are due.
-- An item that a worker died with is claimed alone, so that a poisonous one takes no companions with it.
-- locks: the rows claimed; what another worker is claiming is passed over
-- index: ix_tds_sync_queue_suspect, ix_tds_sync_queue_urgent, ix_tds_sync_queue_oldest, ix_tds_sync_queue_retry
WITH suspect AS MATERIALIZED (
    SELECT id FROM tds_sync_queue
    WHERE status = 'pending' AND lease_losses > 0
    ORDER BY id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
), urgent AS MATERIALIZED (
    SELECT id FROM tds_sync_queue
    WHERE status = 'pending' AND lease_losses = 0 AND NOT EXISTS (SELECT 1 FROM suspect)
    ORDER BY priority DESC, id
    LIMIT CAST(:limit AS int)
    FOR UPDATE SKIP LOCKED
), oldest AS MATERIALIZED (
    SELECT id FROM tds_sync_queue
    WHERE status = 'pending' AND lease_losses = 0 AND NOT EXISTS (SELECT 1 FROM suspect)
    ORDER BY id
    LIMIT CAST(:oldest AS int)
    FOR UPDATE SKIP LOCKED
), due AS MATERIALIZED (
    SELECT id FROM tds_sync_queue
    WHERE status = 'retry' AND next_retry_at <= now() AND NOT EXISTS (SELECT 1 FROM suspect)
    ORDER BY next_retry_at
    LIMIT CAST(:due AS int)
    FOR UPDATE SKIP LOCKED
)
UPDATE tds_sync_queue
SET status = 'processing',
    locked_by = CAST(:worker AS text),
    lease_token = lease_token + 1,
    lock_expires_at = now() + CAST(:lease AS interval),
    next_retry_at = NULL,
    waits_for = NULL
WHERE id = ANY (ARRAY(
    SELECT id FROM suspect
    UNION ALL SELECT id FROM due
    UNION ALL SELECT id FROM oldest
    UNION ALL SELECT id FROM urgent WHERE id NOT IN (SELECT id FROM oldest)
    LIMIT CAST(:limit AS int)))
  AND status IN ('pending', 'retry')
RETURNING id, lease_token, source, entity_type, source_entity_id, operation_type,
          CAST(validated_payload AS text) AS payload, version_time, arrival, received_at, attempts, lease_losses,
          inbox_event_id, run_id, dead_letter_id, priority, trace_id, deferrals,
          EXISTS (SELECT 1 FROM tds_pauses AS pause
                  WHERE pause.source = tds_sync_queue.source AND pause.mode = 'pause'
                    AND pause.entity_type IN (tds_sync_queue.entity_type, '*')) AS paused
