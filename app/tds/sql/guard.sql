-- Begin a batch's transaction. A worker that is frozen inside it loses its connection, and so its locks, by itself. And
-- plans do not depend on what statistics say of tables whose rows come and go: what is pending is found in the order of
-- an index, as far as the limit reaches, and never gathered and sorted, however few there were when somebody counted.
-- A statement has one plan, made once a connection.
-- locks: none
-- index: none
SELECT set_config('idle_in_transaction_session_timeout', CAST(:idle AS text), true),
       set_config('lock_timeout', CAST(:lock AS text), true),
       set_config('enable_seqscan', 'off', true),
       set_config('enable_bitmapscan', 'off', true),
       set_config('enable_sort', 'off', true),
       set_config('plan_cache_mode', 'force_generic_plan', true),
       clock_timestamp() AS now
