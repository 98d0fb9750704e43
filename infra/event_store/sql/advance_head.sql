-- Moves the head and wakes the readers, who see it when this transaction commits.
WITH moved AS (UPDATE log_head SET position = %(position)s, recorded_at = %(recorded_at)s
               RETURNING position)
SELECT pg_notify('errata_log', position::text) FROM moved
