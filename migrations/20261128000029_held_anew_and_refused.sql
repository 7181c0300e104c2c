-- Who was held by a brake is still given up with it after an event; a look that other clients' writes keep open comes to its end;
-- what is written right after a name was refused goes without one.
SET LOCAL lock_timeout = '5s';

ALTER TABLE nominations
    ADD COLUMN held_last text,
    ADD COLUMN anew_since timestamptz;
COMMENT ON COLUMN nominations.held_last IS 'The last value of held since the user was last in step. Unlike held it outlives a nomination: `brake release` and `brake drop` act on these users too. Null when the user was not held.';
COMMENT ON COLUMN nominations.anew_since IS 'When a look first read the profile in vain, because a record of the tenant''s log came meanwhile; null after a decision. 10 s later a look decides whatever comes.';
CREATE INDEX nominations_held_last ON nominations (held_last, user_id) WHERE held_last IS NOT NULL;

ALTER TABLE display_name_writes ADD COLUMN refused boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN display_name_writes.refused IS 'Auth0 refused the write: what is written in the minute after it goes without a name.';
COMMENT ON COLUMN display_names.refused IS 'The name, wished or given by default, with which Auth0 last refused a write; null when none was refused. No name of the user is sent for a day, unless the user wishes for another.';
