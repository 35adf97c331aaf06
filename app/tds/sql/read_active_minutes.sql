-- In how many minutes of a short span anything ended.
-- locks: none
-- index: tds_metrics primary key
SELECT count(DISTINCT minute) FROM tds_metrics
WHERE minute >= CAST(:since AS timestamptz) AND minute < CAST(:until AS timestamptz) AND processed > 0
