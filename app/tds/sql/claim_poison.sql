-- Take items whose lease has ended once too often, to put them into quarantine.
-- locks: the rows; one that its worker is finishing this moment is passed over
-- index: ix_tds_sync_queue_lease
UPDATE tds_sync_queue
SET locked_by = CAST(:worker AS text),
    lease_token = lease_token + 1,
    lease_losses = lease_losses + 1,
    lock_expires_at = now() + CAST(:lease AS interval)
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_sync_queue
    WHERE status = 'processing' AND lock_expires_at <= clock_timestamp()
      AND lease_losses + 1 >= CAST(:quarantine_after AS int)
    ORDER BY lock_expires_at
    LIMIT CAST(:limit AS int)
    FOR UPDATE SKIP LOCKED))
RETURNING id, lease_token, source, entity_type, source_entity_id, operation_type,
          CAST(validated_payload AS text) AS payload, version_time, arrival, received_at, attempts, lease_losses,
          inbox_event_id, run_id, dead_letter_id, priority, trace_id, deferrals,
          EXISTS (SELECT 1 FROM tds_pauses AS pause
                  WHERE pause.source = tds_sync_queue.source AND pause.mode = 'pause'
                    AND pause.entity_type IN (tds_sync_queue.entity_type, '*')) AS paused
