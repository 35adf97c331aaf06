-- Take back the loss that a rescue has counted for items whose worker was cut off from the database, and is alive.
-- Whoever had an item had seen :losses of it; the first one more is the end of that lease.
-- locks: the rows; one that somebody is working on this moment is passed over
-- index: tds_sync_queue primary key
UPDATE tds_sync_queue
SET lease_losses = lease_losses - 1
WHERE id = ANY (ARRAY(
    SELECT id FROM tds_sync_queue
    WHERE id = ANY (CAST(:ids AS uuid[]))
      AND status IN ('pending', 'processing', 'retry')
      AND lease_losses > CAST(CAST(:losses AS jsonb) ->> CAST(id AS text) AS int)
    FOR UPDATE SKIP LOCKED))
