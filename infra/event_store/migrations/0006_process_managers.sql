-- What follows the log and acts on it, unlike a read model, which only tells of it. `state` is its
-- state at `position` in the given version; a state of another version is folded again from the
-- start of the log, and then it acts on nothing up to `acted_to` and before `acted_until`: that was
-- acted on already, or nobody was there to do so. `problem` is why it stands still, if it does.
CREATE TABLE process_managers (
    name        text        PRIMARY KEY,
    version     int         NOT NULL,
    position    bigint      NOT NULL CHECK (position >= 0),
    acted_to    bigint      NOT NULL CHECK (acted_to >= 0),
    acted_until timestamptz NOT NULL,
    state       bytea       NOT NULL,
    problem     text,
    saved_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What was in the log before there was alerting never alarms anybody.
INSERT INTO process_managers (name, version, position, acted_to, acted_until, state)
SELECT 'alerting', 0, 0, position, clock_timestamp(), '' FROM log_head;
