-- A page without the events of some names: they are looked at, and not sent.
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM events
 WHERE position > %(after)s AND position <= %(until)s AND name <> ALL(%(names)s)
 ORDER BY position
