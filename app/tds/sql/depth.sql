-- How much waits, counted up to a limit: enough to know whether a poller must hold back.
-- locks: none
-- index: ix_tds_sync_queue_oldest, ix_tds_inbox_events_pending
SELECT (SELECT count(*) FROM (SELECT 1 FROM tds_sync_queue WHERE status = 'pending' LIMIT CAST(:limit AS int)) AS item)
     + (SELECT count(*) FROM (SELECT 1 FROM tds_inbox_events WHERE status = 'pending' LIMIT CAST(:limit AS int)) AS event)
