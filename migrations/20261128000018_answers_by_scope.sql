-- The scope of a response of Auth0: one user, or the tenant. Users who are gone and may return, failures that many users
-- have in common, and the tenant that the database belongs to.
-- A worker of the version before knows none of this: it works as before while both run.
SET LOCAL lock_timeout = '5s';

ALTER TABLE nominations
    ADD COLUMN failure text,
    ADD COLUMN failed_at timestamptz,
    ADD COLUMN pass_gone boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT nominations_held_check,
    -- One mark per brake; NOT VALID avoids the scan, since every existing row satisfies it.
    ADD CONSTRAINT nominations_held_check CHECK (held ~ '^(stream_loss|brake_[a-z]+)$') NOT VALID;
COMMENT ON COLUMN nominations.failure IS 'Class of the last failed attempt, shared by all that failed for the same reason, such as "403" or "bad_answer"; "stopped" while the whole stage waits. Written by reconcile; null after a finished attempt.';
COMMENT ON COLUMN nominations.failed_at IS 'Time at which that attempt failed, by Postgres'' clock.';
COMMENT ON COLUMN nominations.pass_gone IS 'The operator has released the user: the next attempt passes the brake on users who are gone.';
CREATE INDEX nominations_failure ON nominations (failure) WHERE failure IS NOT NULL;

CREATE TABLE gone_users (
    user_id   text COLLATE "C" PRIMARY KEY,
    gone_at   timestamptz NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now(),
    known     boolean NOT NULL,
    released  boolean NOT NULL
);
CREATE INDEX gone_users_marked ON gone_users (marked_at);
COMMENT ON TABLE gone_users IS 'Users that Auth0 no longer knows. Assignments and requested names stay while the mark exists, in case the same account returns. Written by reconcile, one row per deleted user; the sweep removes rows after 30 days, with the kept data. In a restored older copy a mark may be missing or outdated: the next attempt at the user corrects it.';
COMMENT ON COLUMN gone_users.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN gone_users.gone_at IS 'Date of the first response that did not know the user, by Auth0''s clock. An account created later is another one.';
COMMENT ON COLUMN gone_users.marked_at IS 'Time at which it was written, by Postgres'' clock; the sweep and the brake use this age.';
COMMENT ON COLUMN gone_users.known IS 'Auth0 had returned the user before: only these users count for the brake.';
COMMENT ON COLUMN gone_users.released IS 'The operator let it pass the brake; it does not count towards the next one.';

CREATE TABLE gone_brake (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    engaged_at  timestamptz,
    users       bigint,
    known       bigint,
    counted_at  timestamptz,
    released_at timestamptz
);
INSERT INTO gone_brake DEFAULT VALUES;
COMMENT ON TABLE gone_brake IS 'Prevents that a mass of users is marked as gone until the operator acts; one row, locked by each attempt that marks a user. Written by reconcile and by `rolekeeper brake`.';
COMMENT ON COLUMN gone_brake.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN gone_brake.engaged_at IS 'Time since which these users are held; null while it is not engaged.';
COMMENT ON COLUMN gone_brake.users IS 'Users who would have been gone inside the window when it engaged.';
COMMENT ON COLUMN gone_brake.known IS 'Known users, as of counted_at: exact for some ten thousand, estimated by Postgres'' statistics above.';
COMMENT ON COLUMN gone_brake.counted_at IS 'Time at which they were last counted; null before the first time.';
COMMENT ON COLUMN gone_brake.released_at IS 'Time at which the operator last released the held users; only later marks count.';

ALTER TABLE role_changes ADD COLUMN reason text CHECK (reason IN ('user_deleted', 'user_returned'));
COMMENT ON COLUMN role_changes.reason IS 'Reason of a change that no rule decided: the user was deleted at Auth0, or is known there again and still holds the role. Null for a decision of a rule.';

CREATE TABLE tenant (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    domain   text NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenant IS 'The Auth0 tenant that this database belongs to; at most one row. Written by the first worker whose token the tenant granted, and by `rolekeeper tenant move`.';
COMMENT ON COLUMN tenant.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN tenant.domain IS 'The tenant''s canonical domain, as the audience of the Management API names it.';
COMMENT ON COLUMN tenant.bound_at IS 'Time at which it was written.';
