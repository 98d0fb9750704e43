-- Changes whenever any stream of the kind does; found by streams_of_kind.
SELECT coalesce(sum(version), 0)::bigint FROM streams
 WHERE kind = %s AND kind <> 'error_group'
