-- Let the rest of the transaction (:switch off; on takes it back) read in the order of an index or not at all: what
-- asks for the first rows of a partial index must not sort half a million because the statistics know nothing of them.
-- And let it be read by one process: what is read is little, whatever the planner expects of a bound that it cannot know,
-- and to start helpers takes longer.
-- locks: none
-- index: none
SELECT set_config('enable_seqscan', CAST(:switch AS text), true),
       set_config('enable_bitmapscan', CAST(:switch AS text), true),
       set_config('enable_sort', CAST(:switch AS text), true),
       set_config('max_parallel_workers_per_gather', '0', true)
