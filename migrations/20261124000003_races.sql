-- Our writes and other clients' writes to a profile's roles, so that a race between them is found and repaired.

CREATE TABLE profile_writes (
    write_id         uuid PRIMARY KEY,
    user_id          text COLLATE "C" NOT NULL,
    read_roles       jsonb NOT NULL,
    read_updated_at  timestamptz,
    wrote_roles      jsonb NOT NULL,
    mends_since      timestamptz,
    attempted_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at     timestamptz,
    wrote_updated_at timestamptz,
    answered         boolean NOT NULL DEFAULT false,
    followed_up_at   timestamptz
) WITH (fillfactor = 85);
CREATE INDEX profile_writes_user ON profile_writes (user_id, write_id);
CREATE INDEX profile_writes_open ON profile_writes (attempted_at) WHERE followed_up_at IS NULL;
COMMENT ON TABLE profile_writes IS 'Each of our PATCHes to app_metadata.roles, from just before it is sent; kept for some days.';
COMMENT ON COLUMN profile_writes.write_id IS 'UUIDv7.';
COMMENT ON COLUMN profile_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN profile_writes.read_roles IS 'The roles in the response to the GET before it.';
COMMENT ON COLUMN profile_writes.read_updated_at IS 'The profile''s updated_at in that GET, by Auth0''s clock; null if it had none.';
COMMENT ON COLUMN profile_writes.wrote_roles IS 'The whole roles array that we sent.';
COMMENT ON COLUMN profile_writes.mends_since IS 'Start of the period for which other clients'' writes were resolved, by Auth0''s clock; null if none of their entries changes.';
COMMENT ON COLUMN profile_writes.attempted_at IS 'Time just before it was sent.';
COMMENT ON COLUMN profile_writes.completed_at IS 'Time at which it was known to be done, by its response or by a later attempt; null before.';
COMMENT ON COLUMN profile_writes.wrote_updated_at IS 'The profile''s updated_at after the write, by Auth0''s clock; null while it is unknown.';
COMMENT ON COLUMN profile_writes.answered IS 'Its response was read, so its result is certain.';
COMMENT ON COLUMN profile_writes.followed_up_at IS 'Time at which the tenant''s log reported it, or the sweep enqueued the user because it did not.';

CREATE TABLE foreign_writes (
    user_id    text COLLATE "C" NOT NULL,
    record_id  text COLLATE "C" NOT NULL,
    written_at timestamptz NOT NULL,
    roles      jsonb NOT NULL,
    wiped      boolean NOT NULL,
    noted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (user_id, record_id)
);
CREATE INDEX foreign_writes_noted ON foreign_writes (noted_at);
COMMENT ON TABLE foreign_writes IS 'Writes to roles by other clients, from the tenant''s log; kept a little longer than profile_writes.';
COMMENT ON COLUMN foreign_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN foreign_writes.record_id IS 'log_id of the record, or its store time in the stream if it has none.';
COMMENT ON COLUMN foreign_writes.written_at IS 'The profile''s updated_at after the write, or the record''s date if the record does not show it; by Auth0''s clock.';
COMMENT ON COLUMN foreign_writes.roles IS 'The whole roles array that they wrote.';
COMMENT ON COLUMN foreign_writes.wiped IS 'They sent an empty app_metadata, on which Auth0 deletes everything in it.';
COMMENT ON COLUMN foreign_writes.noted_at IS 'Time at which the record was folded.';

CREATE TABLE races (
    race_id        uuid PRIMARY KEY,
    user_id        text COLLATE "C" NOT NULL,
    write_id       uuid NOT NULL,
    record_id      text COLLATE "C" NOT NULL,
    base           jsonb NOT NULL,
    ours           jsonb NOT NULL,
    theirs         jsonb NOT NULL,
    found          jsonb NOT NULL,
    found_updated_at timestamptz NOT NULL,
    merged         jsonb,
    found_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at     timestamptz,
    outcome        text CHECK (outcome IN ('merged', 'nothing_lost', 'unresolved'))
);
CREATE INDEX races_user ON races (user_id, race_id);
CREATE INDEX races_open ON races (found_at) WHERE outcome IS NULL;
COMMENT ON TABLE races IS 'Writes of other clients between our read and our write, and how each case ended; rows are never removed.';
COMMENT ON COLUMN races.race_id IS 'UUIDv7, in the order of discovery.';
COMMENT ON COLUMN races.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN races.write_id IS 'Our write, in profile_writes while that row is kept.';
COMMENT ON COLUMN races.record_id IS 'Their write, in foreign_writes while that row is kept.';
COMMENT ON COLUMN races.base IS 'The roles we had read.';
COMMENT ON COLUMN races.ours IS 'The roles we wrote.';
COMMENT ON COLUMN races.theirs IS 'The roles they had written in between.';
COMMENT ON COLUMN races.found IS 'The roles of the profile when the race was last examined.';
COMMENT ON COLUMN races.found_updated_at IS 'Its updated_at then, by Auth0''s clock.';
COMMENT ON COLUMN races.merged IS 'The roles that we sent to restore their change; null when nothing was lost or nothing was done.';
COMMENT ON COLUMN races.found_at IS 'Time at which the race was found.';
COMMENT ON COLUMN races.settled_at IS 'Time at which it was settled; null while it is open.';
COMMENT ON COLUMN races.outcome IS 'merged: their change was restored; nothing_lost: it stands; unresolved: no record explains the profile, left to the operator. Null while open.';
