-- The event under one of a few ids.
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM events
 WHERE event_id = ANY(%(event_ids)s)
 LIMIT 1
