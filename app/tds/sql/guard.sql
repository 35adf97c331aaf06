-- Begin a batch's transaction: a worker that is frozen inside it loses its connection, and so its locks, by itself.
-- locks: none
-- index: none
SELECT set_config('idle_in_transaction_session_timeout', CAST(:idle AS text), true),
       set_config('lock_timeout', CAST(:lock AS text), true)
