-- The states after a batch; one row a stream, however many events it got.
INSERT INTO streams (stream_id, kind, version, state, state_schema)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::bytea[], %s::int[])
ON CONFLICT (stream_id) DO UPDATE
SET kind = excluded.kind, version = excluded.version,
    state = excluded.state, state_schema = excluded.state_schema
