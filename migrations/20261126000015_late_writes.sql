-- Writes of ours that were done after another look had begun.

SET LOCAL lock_timeout = '5s';

-- True for those that are there: what came of them was recorded, or is told by the open rows of role_changes.
ALTER TABLE profile_writes ADD COLUMN recorded boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN profile_writes.recorded IS 'What it made of the owned roles stands in assignments. False from just before it is sent; a worker that has lost its lease leaves it so, and the next look reckons with it.';
COMMENT ON COLUMN role_changes.outcome IS 'written: our write was answered; confirmed: seen at a later look; superseded: no longer wanted and not seen, confirmed all the same if its write turns out to be done later; gone: the user is no more; shadow: decided with writes off. Null while open.';
