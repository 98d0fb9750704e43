-- Binary COPY is the fastest way in: about twice an INSERT from arrays, ten times single INSERTs.
COPY events (position, stream_id, stream_version, name, event_id, recorded_at, metadata, data)
FROM STDIN (FORMAT BINARY)
