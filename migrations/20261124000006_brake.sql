-- The brake and the pause: the operator's decisions about changes of roles.
-- A worker of the version before knows neither; its writes while both run are not braked.
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
COMMENT ON TABLE brakes IS 'Stops a mass of changes until the operator acts; two rows. Each decision of a change locks its row, so that concurrent decisions cannot pass it.';
COMMENT ON COLUMN brakes.change IS 'Kind of the changes that it brakes.';
COMMENT ON COLUMN brakes.engaged_at IS 'Time since which all these changes are held; null while it is not engaged.';
COMMENT ON COLUMN brakes.changes IS 'Users who would have changed inside the window when it engaged.';
COMMENT ON COLUMN brakes.holders IS 'Users who held a managed role at the start of the window, as of counted_at; the share refers to this number.';
COMMENT ON COLUMN brakes.counted_at IS 'Time at which holders were last counted; null before the first time.';
COMMENT ON COLUMN brakes.released_at IS 'Time at which the operator last released or dropped the held changes; only later decisions count.';

CREATE TABLE pause (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since    timestamptz NOT NULL DEFAULT now(),
    reason   text
);
COMMENT ON TABLE pause IS 'A row while the operator has stopped all attempts and writes; counting continues.';
COMMENT ON COLUMN pause.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN pause.since IS 'Time of its start.';
COMMENT ON COLUMN pause.reason IS 'The operator''s reason.';

-- Wider than the old check, so every existing row satisfies it: NOT VALID avoids the scan.
ALTER TABLE nominations
    DROP CONSTRAINT nominations_held_check,
    ADD CONSTRAINT nominations_held_check CHECK (held IN ('stream_loss', 'brake_revokes', 'brake_grants', 'brake_both')) NOT VALID,
    ADD COLUMN pass_revokes boolean NOT NULL DEFAULT false,
    ADD COLUMN pass_grants boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN nominations.held IS 'Reason that holds changes of the user until the operator acts: the loss of a stream, or a brake. Null when nothing is held.';
COMMENT ON COLUMN nominations.pass_revokes IS 'The operator has released the user: the next revokes pass the brake.';
COMMENT ON COLUMN nominations.pass_grants IS 'The same for grants.';
CREATE INDEX nominations_held ON nominations (held, user_id) WHERE held IS NOT NULL;

COMMENT ON COLUMN assignments.overruled IS 'Another client removed the role and the rule leaves it removed, or the operator dropped its grant from the brake: not granted until the user has fallen below the threshold and earned it again.';

ALTER TABLE role_changes ADD COLUMN released boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN role_changes.released IS 'The operator let it pass the brake; it does not count towards the next one.';
-- The decisions of the last hour or so, which the brake counts. Not CONCURRENTLY: that waits for every running
-- statement, also for another `migrate` that waits for this one's lock. Writes to the audit wait meanwhile.
CREATE INDEX role_changes_decided ON role_changes (change, decided_at);
