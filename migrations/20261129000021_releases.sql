-- Releases of held changes, in slices.

CREATE TABLE brake_releases (
    change   text PRIMARY KEY CHECK (change IN ('granted', 'revoked', 'restored', 'removed', 'gone')),
    run      uuid NOT NULL,
    is_drop  boolean NOT NULL,
    acted_by text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    moved_at timestamptz NOT NULL DEFAULT now(),
    position text COLLATE "C" NOT NULL DEFAULT '',
    users    bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE brake_releases IS 'Releases and drops of held changes that are under way; a row per kind, at most five. Written by `rolekeeper brake release` and `drop` with each slice, and removed at their end; the row of an interrupted command stays until the command is repeated. With a restored older copy a repeated command acts on all users who are held there.';
COMMENT ON COLUMN brake_releases.change IS 'Kind of the changes, as in brakes; gone: users unknown to Auth0.';
COMMENT ON COLUMN brake_releases.run IS 'The command that may go on. A later one replaces it, and the earlier one can no longer commit.';
COMMENT ON COLUMN brake_releases.is_drop IS 'The changes are dropped; otherwise released.';
COMMENT ON COLUMN brake_releases.acted_by IS 'The operator, as in operator_acts.';
COMMENT ON COLUMN brake_releases.began_at IS 'Its start.';
COMMENT ON COLUMN brake_releases.moved_at IS 'End of its last slice.';
COMMENT ON COLUMN brake_releases.position IS 'Last user id of the last slice; the next slice of the same command begins behind it, and a repeated command begins again.';
COMMENT ON COLUMN brake_releases.users IS 'Users released or dropped so far.';
