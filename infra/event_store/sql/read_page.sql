-- The next events after a position, in log order. LIMIT is safe: positions have no holes.
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM events
 WHERE position > %(after)s AND position <= %(until)s
 ORDER BY position
 LIMIT %(limit)s
