-- The local copy in full: the value of each field of a user, and the date of its source.
-- A worker of the version before does not change the new columns; the next record or read brings them up to date.
SET LOCAL lock_timeout = '5s';

ALTER TABLE users
    ADD COLUMN fields jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN profile_at timestamptz,
    ADD COLUMN alive_at timestamptz,
    ADD COLUMN deleted_at timestamptz;
COMMENT ON COLUMN users.fields IS 'The known fields of the user, by name: {"email": {"value": …, "at": …}}; at is the date of the source, by Auth0''s clock. A newer source wins, field by field.';
COMMENT ON COLUMN users.profile_at IS 'The date of that profile: its own updated_at, by Auth0''s clock.';
COMMENT ON COLUMN users.alive_at IS 'Newest sign of life by the date of its source: a login, a sign-up, a write, a profile.';
COMMENT ON COLUMN users.deleted_at IS 'Newest deletion by the record''s own date, or the time at which Auth0 did not know the user. Older data is not kept.';
COMMENT ON COLUMN users.profile IS 'The newest whole profile, read from Auth0 or shown by a record, without addresses and tokens; null while there is none.';
COMMENT ON COLUMN users.fetched_at IS 'Time of the last request for the profile, by Postgres'' clock; null before the first.';
COMMENT ON COLUMN users.first_seen_at IS 'The earliest date of a record or event that named the user.';
COMMENT ON COLUMN users.gone_at IS 'The tombstone: deleted_at if it is not older than alive_at; null while the user exists.';
