-- Changes whenever any stream of the kind does; answered from streams_by_kind alone.
SELECT coalesce(sum(version), 0)::bigint FROM streams
 WHERE kind = %s AND kind <> 'error_group'
