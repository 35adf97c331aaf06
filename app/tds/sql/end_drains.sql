-- Turn drains into pauses where nothing of theirs is left to work off.
-- locks: the pauses
-- index: tds_sync_queue's partial indexes of unfinished rows
UPDATE tds_pauses AS pause
SET mode = 'pause'
WHERE pause.mode = 'drain'
  AND NOT EXISTS (
      SELECT 1 FROM tds_sync_queue AS item
      WHERE item.status = 'pending' AND item.source = pause.source
        AND pause.entity_type IN (item.entity_type, '*'))
  AND NOT EXISTS (
      SELECT 1 FROM tds_sync_queue AS item
      WHERE item.status = 'processing' AND item.source = pause.source
        AND pause.entity_type IN (item.entity_type, '*'))
  AND NOT EXISTS (
      SELECT 1 FROM tds_inbox_events AS event
      WHERE event.status = 'pending' AND event.source = pause.source)
RETURNING pause.source, pause.entity_type
