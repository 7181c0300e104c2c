-- The stream ROLE_CHANGES announces role changes; the audit remembers the announced ones. Workers of the version before
-- leave the column null, and their completed changes are announced later.
SET LOCAL lock_timeout = '5s';

ALTER TABLE role_changes ADD COLUMN announced_at timestamptz;
COMMENT ON COLUMN role_changes.announced_at IS 'Time at which the stream ROLE_CHANGES was known to hold it; null before the announcement, and always for a change that was not completed.';

-- The changes to announce, in order. The index holds only those, so it stays small while the audit grows.
-- Not CONCURRENTLY: that waits for every running statement, also for another `migrate` that waits for this one's
-- lock; Postgres ends that deadlock and leaves an invalid index. Writes to the audit wait meanwhile.
CREATE INDEX role_changes_unannounced ON role_changes (completed_at, change_id)
    WHERE completed_at IS NOT NULL AND announced_at IS NULL;
