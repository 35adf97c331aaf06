-- Put validated changes into the queue; one without an arrival number arrives now. With :worker they are under its lease
-- from the start, as if it had claimed them in the same moment; those that have an outcome are complete from the start.
-- locks: none
-- index: none
INSERT INTO tds_sync_queue
    (id, inbox_event_id, run_id, dead_letter_id, source, entity_type, source_entity_id, operation_type,
     validated_payload, version_time, arrival, received_at, priority, trace_id,
     outcome, target_entity_id, lease_token, status, locked_by, lock_expires_at, completed_at)
SELECT item.id, item.inbox_event_id, item.run_id, item.dead_letter_id, item.source, item.entity_type,
       item.source_entity_id, item.operation_type, CAST(item.payload AS jsonb), item.version_time,
       COALESCE(item.arrival, nextval('tds_arrival_seq')), COALESCE(item.received_at, now()), item.priority,
       item.trace_id,
       item.outcome, item.target_entity_id,
       CASE WHEN CAST(:worker AS text) IS NULL THEN 0 ELSE 1 END,
       CASE WHEN item.outcome IS NOT NULL THEN 'completed'
            WHEN CAST(:worker AS text) IS NULL THEN 'pending' ELSE 'processing' END,
       CASE WHEN item.outcome IS NULL THEN CAST(:worker AS text) END,
       CASE WHEN item.outcome IS NULL THEN clock_timestamp() + CAST(:lease AS interval) END,
       CASE WHEN item.outcome IS NOT NULL THEN now() END
FROM unnest(CAST(:ids AS uuid[]), CAST(:inbox_event_ids AS uuid[]), CAST(:run_ids AS uuid[]),
            CAST(:dead_letter_ids AS uuid[]), CAST(:sources AS text[]), CAST(:entity_types AS text[]),
            CAST(:source_entity_ids AS text[]), CAST(:operation_types AS text[]), CAST(:payloads AS text[]),
            CAST(:version_times AS timestamptz[]), CAST(:arrivals AS bigint[]), CAST(:received_ats AS timestamptz[]),
            CAST(:priorities AS smallint[]), CAST(:trace_ids AS text[]), CAST(:outcomes AS text[]),
            CAST(:targets AS text[]))
    AS item (id, inbox_event_id, run_id, dead_letter_id, source, entity_type, source_entity_id, operation_type,
             payload, version_time, arrival, received_at, priority, trace_id, outcome, target_entity_id)
