-- Every stream of one of the small kinds (keys, applications).
SELECT stream_id, kind, version, state, state_schema FROM streams
 WHERE kind = %s AND kind <> 'error_group'
