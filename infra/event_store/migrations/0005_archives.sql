-- Which positions have left the log for an archive: [first_position, end_position), and the file
-- that holds them, in the place of the setting ERRATA_ARCHIVE.
CREATE TABLE log_archives (
    first_position bigint      PRIMARY KEY,
    end_position   bigint      NOT NULL CHECK (end_position > first_position),
    file           text        NOT NULL UNIQUE,
    sha256         text        NOT NULL,
    size           bigint      NOT NULL,
    archived_at    timestamptz NOT NULL DEFAULT now()
);

-- The last step of archiving: the partition goes, and its disk with it, and the archive takes its
-- place, at once. Does nothing for a partition that has gone. DROP locks out readers and writers,
-- so it neither waits for long nor makes them wait.
CREATE FUNCTION log_drop_archived(partition text, archive text, digest text, bytes bigint)
RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    head bigint;
    old  log_partitions;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('errata:log_partitions', 0));
    SELECT * INTO old FROM log_partitions WHERE name = partition;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT position INTO head FROM log_head;
    IF old.end_position - 1 > head THEN
        RAISE EXCEPTION 'partition % is still being filled', partition;
    END IF;
    INSERT INTO log_archives (first_position, end_position, file, sha256, size)
    VALUES (old.first_position, old.end_position, archive, digest, bytes);
    DELETE FROM log_partitions WHERE name = partition;
    EXECUTE format('DROP TABLE %I', partition);
    RETURN true;
END $$;

-- Days of the read model `occurrences` that were over before a time; returns how many went.
CREATE FUNCTION occurrences_forget(before timestamptz)
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
    RETURN gone;
END $$;
