-- Role changes go out to the stream ROLE_CHANGES; the audit remembers which have gone. Workers that know nothing of
-- this leave the column null, and what they completed is announced later.
SET LOCAL lock_timeout = '5s';

ALTER TABLE role_changes ADD COLUMN announced_at timestamptz;
COMMENT ON COLUMN role_changes.announced_at IS 'When the stream ROLE_CHANGES was known to hold it; null while it was not announced, and for ever where it was not completed.';

-- What is to be announced, in its order. It holds only that, so it stays small however long the audit grows.
-- Not CONCURRENTLY: that waits for every statement under way, also for another `migrate` that waits for this one's
-- lock; Postgres ends that deadlock and leaves an index that is not valid. Writes to the audit wait meanwhile.
CREATE INDEX role_changes_unannounced ON role_changes (completed_at, change_id)
    WHERE completed_at IS NOT NULL AND announced_at IS NULL;
