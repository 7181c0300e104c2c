-- What we and others wrote to a profile's roles, so that a race between the two is seen and mended.

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
COMMENT ON TABLE profile_writes IS 'Each PATCH of ours to app_metadata.roles, from just before it is sent; kept for some days.';
COMMENT ON COLUMN profile_writes.write_id IS 'UUIDv7.';
COMMENT ON COLUMN profile_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN profile_writes.read_roles IS 'The roles that the GET before it showed.';
COMMENT ON COLUMN profile_writes.read_updated_at IS 'The profile''s updated_at in that GET, by Auth0''s clock; null if it had none.';
COMMENT ON COLUMN profile_writes.wrote_roles IS 'The whole roles array as we sent it.';
COMMENT ON COLUMN profile_writes.mends_since IS 'From when on other clients'' writes were reckoned with, by Auth0''s clock; null if no entry of theirs is changed.';
COMMENT ON COLUMN profile_writes.attempted_at IS 'When it was about to be sent.';
COMMENT ON COLUMN profile_writes.completed_at IS 'When it was known to be done, by its answer or by a later look; null while it is not.';
COMMENT ON COLUMN profile_writes.wrote_updated_at IS 'The profile''s updated_at that it made, by Auth0''s clock; null while nobody knows.';
COMMENT ON COLUMN profile_writes.answered IS 'Its answer was read; what it made is certain then.';
COMMENT ON COLUMN profile_writes.followed_up_at IS 'When the tenant''s log told of it, or the sweep asked for a look because it did not.';

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
COMMENT ON TABLE foreign_writes IS 'Writes to roles by other clients, as the tenant''s log told of them; kept a little longer than profile_writes.';
COMMENT ON COLUMN foreign_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN foreign_writes.record_id IS 'log_id of the record, or the time its stream stored it where it has none.';
COMMENT ON COLUMN foreign_writes.written_at IS 'The profile''s updated_at that the write made, or the record''s date where it does not show that; by Auth0''s clock.';
COMMENT ON COLUMN foreign_writes.roles IS 'The whole roles array as they wrote it.';
COMMENT ON COLUMN foreign_writes.wiped IS 'They sent an empty app_metadata, by which Auth0 deletes everything in it.';
COMMENT ON COLUMN foreign_writes.noted_at IS 'When the record was folded.';

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
COMMENT ON TABLE races IS 'Writes of other clients that fell between our read and our write, and what was done about them; rows are never removed.';
COMMENT ON COLUMN races.race_id IS 'UUIDv7, in the order found.';
COMMENT ON COLUMN races.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN races.write_id IS 'Our write, in profile_writes while that is kept.';
COMMENT ON COLUMN races.record_id IS 'Their write, in foreign_writes while that is kept.';
COMMENT ON COLUMN races.base IS 'The roles we had read.';
COMMENT ON COLUMN races.ours IS 'The roles we wrote.';
COMMENT ON COLUMN races.theirs IS 'The roles they had written in between.';
COMMENT ON COLUMN races.found IS 'The roles of the profile when the race was last looked into.';
COMMENT ON COLUMN races.found_updated_at IS 'Its updated_at then, by Auth0''s clock.';
COMMENT ON COLUMN races.merged IS 'The roles as they were sent to bring their intention back; null when nothing was lost or nothing was done.';
COMMENT ON COLUMN races.found_at IS 'When the race was found.';
COMMENT ON COLUMN races.settled_at IS 'When it was settled; null while it is not.';
COMMENT ON COLUMN races.outcome IS 'merged: their intention was brought back; nothing_lost: it stands; unresolved: the profile had become what no record tells of, left to a person. Null while open.';
