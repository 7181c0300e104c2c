-- Brakes and the pause.

CREATE TABLE brakes (
    change      text PRIMARY KEY CHECK (change IN ('granted', 'revoked', 'restored', 'removed', 'gone')),
    engaged_at  timestamptz,
    changes     bigint,
    holders     bigint,
    counted_at  timestamptz,
    released_at timestamptz,
    decided_bound bigint,
    bound_since   timestamptz
);
COMMENT ON TABLE brakes IS 'Stops a mass of changes until the operator acts; one row per kind. Each decision of a change locks its row, so that concurrent decisions cannot pass it.';
COMMENT ON COLUMN brakes.change IS 'Kind of the changes that it brakes; restored: roles of other clients that are restored or removed again; removed: pins for managed roles that other clients removed.';
COMMENT ON COLUMN brakes.engaged_at IS 'Time since which all these changes are held; null while it is not engaged.';
COMMENT ON COLUMN brakes.changes IS 'Users who would have changed inside the window when it engaged; counted up to 100,000.';
COMMENT ON COLUMN brakes.holders IS 'Users who held a managed role at the start of the window, as of counted_at; the share refers to this number.';
COMMENT ON COLUMN brakes.counted_at IS 'Time at which holders were last counted; null before the first time.';
COMMENT ON COLUMN brakes.released_at IS 'Time at which the operator last released or dropped the held changes; only later decisions count.';
COMMENT ON COLUMN brakes.decided_bound IS 'At least the changes decided since bound_since and those that may be decided without another question: the last count, raised with each permission. Null before the first count, and for kinds that are always counted. Written by reconcile.';
COMMENT ON COLUMN brakes.bound_since IS 'Start of the time that decided_bound covers; for a window that begins earlier the changes are counted anew.';
INSERT INTO brakes (change) VALUES ('granted'), ('revoked'), ('restored'), ('removed');

CREATE TABLE gone_brake (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    engaged_at  timestamptz,
    users       bigint,
    known       bigint,
    counted_at  timestamptz,
    released_at timestamptz
);
COMMENT ON TABLE gone_brake IS 'Prevents that a mass of users is marked as gone until the operator acts; one row, locked by each attempt that marks a user. Written by reconcile and by `rolekeeper brake`.';
COMMENT ON COLUMN gone_brake.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN gone_brake.engaged_at IS 'Time since which these users are held; null while it is not engaged.';
COMMENT ON COLUMN gone_brake.users IS 'Users who would have been gone inside the window when it engaged.';
COMMENT ON COLUMN gone_brake.known IS 'Known users, as of counted_at: exact for some ten thousand, estimated by Postgres'' statistics above.';
COMMENT ON COLUMN gone_brake.counted_at IS 'Time at which they were last counted; null before the first time.';
COMMENT ON COLUMN gone_brake.released_at IS 'Time at which the operator last released the held users; only later marks count.';
INSERT INTO gone_brake DEFAULT VALUES;

CREATE TABLE pause (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    since         timestamptz NOT NULL DEFAULT now(),
    reason        text,
    unknown_write boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE pause IS 'A row while attempts and writes are stopped on all workers; counting continues. Written by `rolekeeper pause`, and by the worker that reconciles when another program writes under our client id; removed by `rolekeeper resume`.';
COMMENT ON COLUMN pause.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN pause.since IS 'Time of its start.';
COMMENT ON COLUMN pause.reason IS 'The operator''s reason.';
COMMENT ON COLUMN pause.unknown_write IS 'Auth0 confirmed a write under our own client id that is not in profile_writes: a second rolekeeper, a restored database, or a script with our credentials. `resume` then requires a reason.';
