-- The brake, and the pause: what a person decides about changes of roles.
-- A worker of the version before knows neither; what it writes while both run is not braked.
SET LOCAL lock_timeout = '5s';

CREATE TABLE brakes (
    change      text PRIMARY KEY CHECK (change IN ('granted', 'revoked')),
    engaged_at  timestamptz,
    changes     bigint,
    holders     bigint,
    counted_at  timestamptz,
    released_at timestamptz
);
INSERT INTO brakes (change) VALUES ('granted'), ('revoked');
COMMENT ON TABLE brakes IS 'Stops a mass of changes until a person has looked; two rows. Whoever decides a change locks its row, so that many at once cannot slip past.';
COMMENT ON COLUMN brakes.change IS 'Which changes it brakes.';
COMMENT ON COLUMN brakes.engaged_at IS 'Since when all such changes are held; null while it is not engaged.';
COMMENT ON COLUMN brakes.changes IS 'Users who would have changed inside the window when it engaged.';
COMMENT ON COLUMN brakes.holders IS 'Users who held an owned role at the start of the window, as of counted_at; the whole of which the share is taken.';
COMMENT ON COLUMN brakes.counted_at IS 'When holders were last counted; null before the first time.';
COMMENT ON COLUMN brakes.released_at IS 'When a person last released or dropped what was held; only what was decided since counts.';

CREATE TABLE pause (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since    timestamptz NOT NULL DEFAULT now(),
    reason   text
);
COMMENT ON TABLE pause IS 'A row while a person has stopped all looks and writes; counting goes on.';
COMMENT ON COLUMN pause.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN pause.since IS 'When it began.';
COMMENT ON COLUMN pause.reason IS 'What that person said about it.';

-- Wider than the old check, so every row there meets it: NOT VALID spares the scan.
ALTER TABLE nominations
    DROP CONSTRAINT nominations_held_check,
    ADD CONSTRAINT nominations_held_check CHECK (held IN ('stream_loss', 'brake_revokes', 'brake_grants', 'brake_both')) NOT VALID,
    ADD COLUMN pass_revokes boolean NOT NULL DEFAULT false,
    ADD COLUMN pass_grants boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN nominations.held IS 'What keeps changes of the user until a person acts: the loss of a stream, or a brake. Null when nothing does.';
COMMENT ON COLUMN nominations.pass_revokes IS 'A person has released the user: the brake lets the next revokes pass.';
COMMENT ON COLUMN nominations.pass_grants IS 'The same for grants.';
CREATE INDEX nominations_held ON nominations (held, user_id) WHERE held IS NOT NULL;

COMMENT ON COLUMN assignments.overruled IS 'A person took the role away and the rule leaves it so, or dropped its grant from the brake: not granted until the user has fallen below the line and earned it anew.';

ALTER TABLE role_changes ADD COLUMN released boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN role_changes.released IS 'A person let it pass the brake; it does not count towards the next one.';
-- What the brake counts: the decisions of the last hour or so. Not CONCURRENTLY: that waits for every statement under
-- way, also for another `migrate` that waits for this one's lock. Writes to the audit wait meanwhile.
CREATE INDEX role_changes_decided ON role_changes (change, decided_at);
