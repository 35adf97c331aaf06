-- Take the oldest events that nobody has looked at, from an id on, for the length of this transaction; with each, what is
-- paused at the moment, as JSON pairs of source and entity type.
-- locks: the rows taken; what another validator holds is passed over
-- index: ix_tds_inbox_events_pending
SELECT id, source, entity_type, source_entity_id, operation, body, CAST(headers AS text) AS headers,
       run_id, arrival,
       created_at, trace_id,
       (SELECT CAST(json_agg(json_build_array(pause.source, pause.entity_type)) AS text)
        FROM tds_pauses AS pause WHERE pause.mode = 'pause') AS paused
FROM tds_inbox_events
WHERE status = 'pending' AND id >= CAST(:first AS uuid)
ORDER BY id
LIMIT CAST(:limit AS int)
FOR UPDATE SKIP LOCKED
