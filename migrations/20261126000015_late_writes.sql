-- Writes of ours that were done after another attempt had begun.

SET LOCAL lock_timeout = '5s';

-- True for existing rows: their result was recorded, or is in the open rows of role_changes.
ALTER TABLE profile_writes ADD COLUMN recorded boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN profile_writes.recorded IS 'Its effect on the managed roles is recorded in assignments. False from just before it is sent; a worker that lost its lease leaves it false, and the next attempt resolves it.';
COMMENT ON COLUMN role_changes.outcome IS 'written: Auth0 responded to our write; confirmed: a later attempt saw it; superseded: no longer wanted and not seen, confirmed nevertheless if its write turns out to be done later; gone: Auth0 no longer knows the user; shadow: decided with writes off. Null while open.';
