-- Claim one item by id, whether or not its retry is due.
-- locks: the row, unless somebody else holds it
-- index: tds_sync_queue primary key
UPDATE tds_sync_queue
SET status = 'processing',
    locked_by = CAST(:worker AS text),
    lease_token = lease_token + 1,
    lock_expires_at = now() + CAST(:lease AS interval),
    next_retry_at = NULL,
    waits_for = NULL
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_sync_queue
    WHERE id = CAST(:id AS uuid) AND status IN ('pending', 'retry')
    FOR UPDATE SKIP LOCKED))
RETURNING id, lease_token, source, entity_type, source_entity_id, operation_type,
          CAST(validated_payload AS text) AS payload, version_time, arrival, received_at, attempts, lease_losses,
          inbox_event_id, run_id, dead_letter_id, priority, trace_id, deferrals,
          EXISTS (SELECT 1 FROM tds_pauses AS pause
                  WHERE pause.source = tds_sync_queue.source AND pause.mode = 'pause'
                    AND pause.entity_type IN (tds_sync_queue.entity_type, '*')) AS paused
