-- One stream's events, newest first, below a version.
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM events
 WHERE stream_id = %(stream_id)s AND stream_version < %(before)s
 ORDER BY stream_version DESC
 LIMIT %(limit)s
