-- Write audit rows.
-- locks: none
-- index: none
INSERT INTO tds_audit_trail
    (id, entity_type, entity_id, source_entity_id, operation, before, after, changed_fields, change_source, actor,
     origin, queue_id, run_id)
SELECT entry.id, entry.entity_type, entry.entity_id, entry.source_entity_id, entry.operation,
       CAST(entry.before AS jsonb), CAST(entry.after AS jsonb),
       CAST(entry.changed AS text[]),
       entry.change_source, entry.actor, entry.origin, entry.queue_id, entry.run_id
FROM unnest(CAST(:ids AS uuid[]), CAST(:entity_types AS text[]), CAST(:entity_ids AS text[]),
            CAST(:source_entity_ids AS text[]), CAST(:operations AS text[]), CAST(:befores AS text[]),
            CAST(:afters AS text[]), CAST(:changed AS text[]), CAST(:change_sources AS text[]),
            CAST(:actors AS text[]), CAST(:origins AS text[]), CAST(:queue_ids AS uuid[]), CAST(:run_ids AS uuid[]))
    AS entry (id, entity_type, entity_id, source_entity_id, operation, before, after, changed, change_source, actor,
              origin, queue_id, run_id)
