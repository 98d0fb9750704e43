-- The next events of a stream after a version, up to a position of the log, until a page is full by
-- rows or by bytes.
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM (SELECT *, sum(octet_length(data)) OVER (ORDER BY stream_version) - octet_length(data)
               AS size_before
          FROM (SELECT * FROM events
                 WHERE stream_id = %(stream_id)s AND stream_version > %(after)s
                   AND position <= %(until)s
                 ORDER BY stream_version
                 LIMIT %(limit)s) AS following) AS page
 WHERE size_before < %(bytes)s
 ORDER BY stream_version
