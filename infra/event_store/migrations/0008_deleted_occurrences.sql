-- Occurrences of deleted errors, for whoever asks what there was before: `deletion` is the position
-- of the event that took a row out of `occurrences`. A part of that read model, emptied with it.
CREATE TABLE occurrences_deleted (LIKE occurrences, deletion bigint NOT NULL);

CREATE INDEX occurrences_deleted_newest
    ON occurrences_deleted (app, occurred_at DESC, position DESC);

-- Days of the read model `occurrences` that were over before a time; returns how many went.
CREATE OR REPLACE FUNCTION occurrences_forget(before timestamptz)
RETURNS int LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    day  text;
    gone int := 0;
BEGIN
    FOR day IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'occurrences'::regclass AND c.relname ~ '^occurrences_\d{8}$'
           AND to_date(right(c.relname, 8), 'YYYYMMDD') < (before AT TIME ZONE 'UTC')::date
    LOOP
        EXECUTE format('DROP TABLE %I', day);
        gone := gone + 1;
    END LOOP;
    DELETE FROM occurrences_other WHERE occurred_at < before;
    DELETE FROM occurrences_deleted WHERE occurred_at < date_trunc('day', before, 'UTC');
    RETURN gone;
END $$;
