-- The log. Everything else can be built again from it.

-- One row. Its row lock is the write order: who holds it hands out the next positions, so positions
-- are contiguous and commit order is position order. `recorded_at` keeps recorded time from ever
-- going back along the log, whatever the writers' clocks do.
CREATE TABLE log_head (
    single      boolean     PRIMARY KEY DEFAULT true CHECK (single),
    position    bigint      NOT NULL CHECK (position >= 0),
    recorded_at timestamptz NOT NULL
) WITH (fillfactor = 10);  -- room for in-page (HOT) updates: this row changes with every commit

INSERT INTO log_head (position, recorded_at) VALUES (0, '1970-01-01T00:00:00Z');

-- The folded state of each stream, so that a decision never replays. A cache with a schema number:
-- a state of another schema is folded again from the events.
CREATE TABLE streams (
    stream_id    uuid   PRIMARY KEY,
    kind         text   NOT NULL,
    version      bigint NOT NULL,
    state        bytea  NOT NULL,
    state_schema int    NOT NULL
) WITH (fillfactor = 75);

-- Error groups are many and never listed from here; all other kinds are few.
CREATE INDEX streams_by_kind ON streams (kind, version) WHERE kind <> 'error_group';

CREATE TABLE events (
    position       bigint      NOT NULL,
    stream_id      uuid        NOT NULL,
    stream_version bigint      NOT NULL,
    name           text        NOT NULL,
    event_id       uuid        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    metadata       bytea       NOT NULL,
    data           bytea       NOT NULL,
    PRIMARY KEY (position)
) PARTITION BY RANGE (position);

CREATE INDEX events_by_stream ON events (stream_id, stream_version);
CREATE INDEX events_by_event_id ON events (event_id);

-- Which positions each partition holds: [first_position, end_position).
CREATE TABLE log_partitions (
    name           text        PRIMARY KEY,
    first_position bigint      NOT NULL UNIQUE,
    end_position   bigint      NOT NULL CHECK (end_position > first_position),
    opened_at      timestamptz NOT NULL DEFAULT now(),
    closed_at      timestamptz
);

-- Nobody edits the log by accident: no UPDATE, DELETE or TRUNCATE. Retention drops whole partitions.
CREATE FUNCTION log_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % on % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION log_refuse_change();
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION log_refuse_change();

-- Open one partition for [first, first + size). Made beside the table and attached, because
-- CREATE TABLE ... PARTITION OF would lock out every reader, and ATTACH does not.
CREATE FUNCTION log_open_partition(first bigint, size bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    partition text := format('events_%s', first);
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS INCLUDING STORAGE)', partition);
    EXECUTE format('CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON %I'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION log_refuse_change()', partition);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   partition, first, first + size);
    INSERT INTO log_partitions (name, first_position, end_position)
    VALUES (partition, first, first + size);
END $$;

-- Keep room ahead: the partition being filled and an empty one behind it. Returns how many were made.
CREATE FUNCTION log_keep_room(size bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    head  bigint;
    ahead bigint;
    made  int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('errata:log_partitions', 0));
    SELECT position INTO head FROM log_head;
    SELECT coalesce(max(end_position), 1) INTO ahead FROM log_partitions;
    WHILE ahead <= head + size LOOP
        PERFORM log_open_partition(ahead, size);
        ahead := ahead + size;
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Close the partition being filled at the head, so that it holds one month. Writers wait meanwhile
-- (they need log_head); the bounds of an attached partition cannot change, so it is taken off and
-- put back, and the empty ones ahead are made again. Returns the closed partition's name, if any.
CREATE FUNCTION log_close_partition(size bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    head    bigint;
    filling log_partitions;
    empty   text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('errata:log_partitions', 0));
    SELECT position INTO head FROM log_head FOR UPDATE;
    SELECT * INTO filling FROM log_partitions
     WHERE first_position <= head AND head < end_position - 1;
    IF NOT FOUND THEN
        RETURN NULL;  -- nothing in it yet, or just full
    END IF;
    FOR empty IN SELECT name FROM log_partitions WHERE first_position > head LOOP
        EXECUTE format('DROP TABLE %I', empty);
        DELETE FROM log_partitions WHERE name = empty;
    END LOOP;
    EXECUTE format('ALTER TABLE events DETACH PARTITION %I', filling.name);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                   filling.name, filling.first_position, head + 1);
    UPDATE log_partitions SET end_position = head + 1, closed_at = now()
     WHERE name = filling.name;
    PERFORM log_open_partition(head + 1, size);
    RETURN filling.name;
END $$;

-- For people with psql.
CREATE VIEW audit_log AS
SELECT position, recorded_at, name, stream_id, stream_version, event_id,
       convert_from(metadata, 'UTF8')::jsonb AS metadata,
       convert_from(data, 'UTF8')::jsonb AS data
  FROM events;
