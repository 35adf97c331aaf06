-- Let the rest of the transaction (:switch off; on takes it back) read in the order of an index or not at all: what
-- asks for the first rows of a partial index must not sort half a million because the statistics know nothing of them.
-- locks: none
-- index: none
SELECT set_config('enable_seqscan', CAST(:switch AS text), true),
       set_config('enable_bitmapscan', CAST(:switch AS text), true),
       set_config('enable_sort', CAST(:switch AS text), true)
