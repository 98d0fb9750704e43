-- When Errata was last known to run. No part of the log: it says nothing that an event does not say
-- in the end, and it changes every few seconds.
CREATE TABLE heartbeats (
    part text        PRIMARY KEY,
    at   timestamptz NOT NULL
) WITH (fillfactor = 10);  -- room for in-page (HOT) updates, as for log_head
