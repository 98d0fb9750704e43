-- A state changes in its page (HOT), without new entries in any index, only if no index holds what
-- changes; `version` was in this one, though no error group is. Of the other kinds there are few.
CREATE INDEX streams_of_kind ON streams (kind) WHERE kind <> 'error_group';
DROP INDEX streams_by_kind;
