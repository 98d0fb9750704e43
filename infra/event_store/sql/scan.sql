-- The events of a range of positions that a filter lets through, in log order, until a page is full
-- by rows or by bytes. `found` counts those before the limit of bytes. An application is looked for
-- as text in events that name theirs plainly; the other events that may have one are let through.
SELECT position, stream_id, stream_version, name, event_id, recorded_at, metadata, data, found
  FROM (SELECT *, count(*) OVER () AS found,
               sum(octet_length(data)) OVER (ORDER BY position) - octet_length(data) AS size_before
          FROM (SELECT * FROM events
                 WHERE position > %(after)s AND position <= %(until)s
                   AND (%(stream_id)s::uuid IS NULL OR stream_id = %(stream_id)s)
                   AND (%(names)s::text[] IS NULL OR name = ANY(%(names)s))
                   AND (%(actor)s::bytea IS NULL OR position(%(actor)s::bytea IN metadata) > 0)
                   AND (%(correlation)s::bytea IS NULL
                        OR position(%(correlation)s::bytea IN metadata) > 0)
                   AND (%(app)s::bytea IS NULL OR name = ANY(%(apps_within)s)
                        OR (name = ANY(%(apps_plain)s) AND position(%(app)s::bytea IN data) > 0))
                 ORDER BY position
                 LIMIT %(limit)s) AS wanted) AS page
 WHERE size_before < %(bytes)s
 ORDER BY position
