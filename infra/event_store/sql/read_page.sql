-- The next events after a position, in log order, until a page is full by rows or by bytes. LIMIT is
-- safe: positions have no holes.
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data
  FROM (SELECT *, sum(octet_length(metadata) + octet_length(data))
                    OVER (ORDER BY position ROWS UNBOUNDED PRECEDING)
                  - octet_length(metadata) - octet_length(data) AS size_before
          FROM (SELECT * FROM events
                 WHERE position > %(after)s AND position <= %(until)s
                 ORDER BY position
                 LIMIT %(limit)s) AS following) AS page
 WHERE size_before < %(bytes)s
 ORDER BY position
