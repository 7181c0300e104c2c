-- What an answer of Auth0 is about: one user, or the tenant. Users who are gone and may come back, failures that many users
-- have in common, and the tenant that the database belongs to.
-- A worker of the version before knows none of this: what it does while both run is as it was.
SET LOCAL lock_timeout = '5s';

ALTER TABLE nominations
    ADD COLUMN failure text,
    ADD COLUMN failed_at timestamptz,
    ADD COLUMN pass_gone boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT nominations_held_check,
    -- One mark a brake; NOT VALID spares the scan, since every row there meets it.
    ADD CONSTRAINT nominations_held_check CHECK (held ~ '^(stream_loss|brake_[a-z]+)$') NOT VALID;
COMMENT ON COLUMN nominations.failure IS 'What the last failed look has in common with others that failed for the same reason, such as "403" or "bad_answer"; "stopped" while the whole stage waits. Written by reconcile; null after a look that came to its end.';
COMMENT ON COLUMN nominations.failed_at IS 'When that look failed, by Postgres'' clock.';
COMMENT ON COLUMN nominations.pass_gone IS 'An operator has released the user: the brake on users who are gone lets the next look pass.';
CREATE INDEX nominations_failure ON nominations (failure) WHERE failure IS NOT NULL;

CREATE TABLE gone_users (
    user_id   text COLLATE "C" PRIMARY KEY,
    gone_at   timestamptz NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now(),
    known     boolean NOT NULL,
    released  boolean NOT NULL
);
CREATE INDEX gone_users_marked ON gone_users (marked_at);
COMMENT ON TABLE gone_users IS 'Users whom Auth0 does not know any more. Assignments and wishes stay while the mark stands, in case that the same account is known again. Written by reconcile, a row a deleted user; the sweep removes rows after 30 days, with what was kept for them. In a restored older copy a mark may be missing or stand too long: the next look at the user puts it right.';
COMMENT ON COLUMN gone_users.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN gone_users.gone_at IS 'Date of the first answer that said so, by Auth0''s clock. An account made later is another one.';
COMMENT ON COLUMN gone_users.marked_at IS 'When it was written, by Postgres'' clock; the age that the sweep and the brake go by.';
COMMENT ON COLUMN gone_users.known IS 'Auth0 had answered for the user before: only such users count for the brake.';
COMMENT ON COLUMN gone_users.released IS 'An operator let it pass the brake; it does not count towards the next one.';

CREATE TABLE gone_brake (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    engaged_at  timestamptz,
    users       bigint,
    known       bigint,
    counted_at  timestamptz,
    released_at timestamptz
);
INSERT INTO gone_brake DEFAULT VALUES;
COMMENT ON TABLE gone_brake IS 'Stops a mass of users from being taken for gone until an operator has looked; one row, locked by each look that marks a user. Written by reconcile and by `rolekeeper brake`.';
COMMENT ON COLUMN gone_brake.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN gone_brake.engaged_at IS 'Since when such users are held; null while it is not engaged.';
COMMENT ON COLUMN gone_brake.users IS 'Users who would have been gone inside the window when it engaged.';
COMMENT ON COLUMN gone_brake.known IS 'Users that are known, as of counted_at: exact for some ten thousand, estimated by Postgres'' statistics above.';
COMMENT ON COLUMN gone_brake.counted_at IS 'When they were last counted; null before the first time.';
COMMENT ON COLUMN gone_brake.released_at IS 'When an operator last released what was held; only what was marked since counts.';

ALTER TABLE role_changes ADD COLUMN reason text CHECK (reason IN ('user_deleted', 'user_returned'));
COMMENT ON COLUMN role_changes.reason IS 'Why the role changed, where no rule decided it: the user was deleted at Auth0, or is known there again and still holds the role. Null for what a rule decided.';

CREATE TABLE tenant (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    domain   text NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenant IS 'The Auth0 tenant that this database belongs to; at most one row. Written by the first worker whose token the tenant granted, and by `rolekeeper tenant move`.';
COMMENT ON COLUMN tenant.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN tenant.domain IS 'The tenant''s canonical domain, as the audience of the Management API names it.';
COMMENT ON COLUMN tenant.bound_at IS 'When it was written.';
