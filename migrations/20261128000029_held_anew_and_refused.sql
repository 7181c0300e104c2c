-- `brake drop` also gives up a held user after an event; an attempt that other clients' writes keep open comes to its end;
-- a write right after a refused name has no name.
SET LOCAL lock_timeout = '5s';

ALTER TABLE nominations
    ADD COLUMN held_last text,
    ADD COLUMN anew_since timestamptz;
COMMENT ON COLUMN nominations.held_last IS 'The last value of held since the user was last up to date. Unlike held it survives an enqueue: `brake release` and `brake drop` act on these users too. Null when the user was not held.';
COMMENT ON COLUMN nominations.anew_since IS 'Time at which an attempt first read the profile in vain, because a record of the tenant''s log arrived meanwhile; null after a decision. 10 s later an attempt decides in any case.';
CREATE INDEX nominations_held_last ON nominations (held_last, user_id) WHERE held_last IS NOT NULL;

ALTER TABLE display_name_writes ADD COLUMN refused boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN display_name_writes.refused IS 'Auth0 refused the write: a write within the next minute has no name.';
COMMENT ON COLUMN display_names.refused IS 'The name, requested or default, with which Auth0 last refused a write; null when none was refused. No name of the user is sent for a day, unless the user requests another.';
