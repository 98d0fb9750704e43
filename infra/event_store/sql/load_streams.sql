-- The folded states a batch decides on.
SELECT stream_id, kind, version, state, state_schema FROM streams WHERE stream_id = ANY(%s::uuid[])
