-- Which of the ids that clients chose are in the log already, and in which stream.
SELECT event_id, stream_id FROM events WHERE event_id = ANY(%s::uuid[])
