-- Role changes go out to the stream ROLE_CHANGES; the audit remembers which have gone. Workers that know nothing of
-- this leave the column null, and what they completed is announced later.
SET LOCAL lock_timeout = '5s';

ALTER TABLE role_changes ADD COLUMN announced_at timestamptz;
COMMENT ON COLUMN role_changes.announced_at IS 'When the stream ROLE_CHANGES was known to hold it; null while it was not announced, and for ever where it was not completed.';
