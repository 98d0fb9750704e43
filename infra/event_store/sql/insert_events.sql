-- The way in for small batches: unlike COPY it can travel with the rest of the transaction in one
-- flight, so that the write lock is held for one round trip less at either end.
INSERT INTO events (position, stream_id, stream_version, name, event_id, recorded_at, metadata, data)
SELECT position, stream_id, stream_version, name, event_id, %b::timestamptz, metadata, data
  FROM unnest(%b::bigint[], %b::uuid[], %b::bigint[], %b::text[], %b::uuid[], %b::bytea[], %b::bytea[])
    AS new (position, stream_id, stream_version, name, event_id, metadata, data)
