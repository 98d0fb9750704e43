-- The write lock. Whoever holds this row hands out the next positions; it is released by COMMIT.
SELECT position, recorded_at FROM log_head FOR UPDATE
