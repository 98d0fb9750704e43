-- How much of a stream up to a version is here: its first version, and its bytes.
SELECT coalesce(min(stream_version), 0)::bigint, coalesce(sum(octet_length(data)), 0)::bigint
  FROM events
 WHERE stream_id = %s AND stream_version <= %s
