-- Read models that live here, not in Redis. Each can be emptied and built again from the log.

-- How far each has folded the log, and in which version: its row lock keeps two workers apart.
CREATE TABLE read_model_checkpoints (
    name     text   PRIMARY KEY,
    version  int    NOT NULL,
    position bigint NOT NULL CHECK (position >= 0)
) WITH (fillfactor = 10);  -- room for in-page (HOT) updates, as for log_head

-- Where in the log each occurrence stands, by what lists are asked for. Payloads stay in the log.
-- `code` and `user_id` are the first 200 characters at most: longer ones end in a digest.
CREATE TABLE occurrences (
    app         text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    position    bigint      NOT NULL,
    error_id    uuid        NOT NULL,
    code        text,
    user_id     text
) PARTITION BY RANGE (occurred_at);

CREATE INDEX occurrences_newest ON occurrences (app, occurred_at DESC, position DESC);
CREATE INDEX occurrences_by_code ON occurrences (app, code, occurred_at DESC, position DESC)
    WHERE code IS NOT NULL;
CREATE INDEX occurrences_by_user ON occurrences (app, user_id, occurred_at DESC, position DESC)
    WHERE user_id IS NOT NULL;
CREATE INDEX occurrences_by_error ON occurrences (error_id);

-- For stamps too far from their report's day to be given days of their own.
CREATE TABLE occurrences_other PARTITION OF occurrences DEFAULT;

-- Make sure that each of these days (UTC) has a partition, called occurrences_YYYYMMDD.
CREATE FUNCTION occurrences_open_days(days date[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    day       date;
    partition text;
    first     timestamptz;
    after     timestamptz;
BEGIN
    FOREACH day IN ARRAY days LOOP
        partition := 'occurrences_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        first := day::timestamp AT TIME ZONE 'UTC';
        after := (day + 1)::timestamp AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE %I (LIKE occurrences INCLUDING DEFAULTS)', partition);
        -- What was stamped far ahead of its time, and has had to wait for its day elsewhere.
        EXECUTE format('WITH moved AS (DELETE FROM occurrences_other'
                       ' WHERE occurred_at >= %L AND occurred_at < %L RETURNING *)'
                       ' INSERT INTO %I SELECT * FROM moved', first, after, partition);
        EXECUTE format('ALTER TABLE occurrences ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       partition, first, after);
    END LOOP;
END $$;
