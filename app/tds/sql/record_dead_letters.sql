-- Write dead letters.
-- locks: none
-- index: none
INSERT INTO tds_dead_letter_queue
    (id, sync_queue_id, inbox_event_id, run_id, source, entity_type, source_entity_id, operation_type, failure_reason,
     error_code, fingerprint, total_attempts, errors, stack, original_payload, last_payload,
     priority, version_time, arrival, received_at)
SELECT letter.id, letter.sync_queue_id, letter.inbox_event_id, letter.run_id, letter.source, letter.entity_type,
       letter.source_entity_id, letter.operation_type, letter.failure_reason, letter.error_code, letter.fingerprint,
       letter.total_attempts, CAST(letter.errors AS jsonb), letter.stack, CAST(letter.payload AS jsonb),
       CAST(letter.payload AS jsonb), letter.priority, letter.version_time, letter.arrival,
       letter.received_at
FROM unnest(CAST(:ids AS uuid[]), CAST(:sync_queue_ids AS uuid[]), CAST(:inbox_event_ids AS uuid[]),
            CAST(:run_ids AS uuid[]), CAST(:sources AS text[]), CAST(:entity_types AS text[]),
            CAST(:source_entity_ids AS text[]), CAST(:operation_types AS text[]), CAST(:failure_reasons AS text[]),
            CAST(:error_codes AS text[]), CAST(:fingerprints AS text[]), CAST(:total_attempts AS smallint[]),
            CAST(:errors AS text[]), CAST(:stacks AS text[]), CAST(:payloads AS text[]), CAST(:priorities AS smallint[]),
            CAST(:version_times AS timestamptz[]), CAST(:arrivals AS bigint[]), CAST(:received_ats AS timestamptz[]))
    AS letter (id, sync_queue_id, inbox_event_id, run_id, source, entity_type, source_entity_id, operation_type,
               failure_reason, error_code, fingerprint, total_attempts, errors, stack, payload, priority,
               version_time, arrival, received_at)
