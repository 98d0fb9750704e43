-- Single events, wherever they stand.
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM events
 WHERE position = ANY(%(positions)s)
