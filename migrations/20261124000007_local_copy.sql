-- The local copy in full: what each field of a user is, and since when it is known to be so.
-- A worker of the version before leaves the new columns as they are; the next record or read brings them up to date.
SET LOCAL lock_timeout = '5s';

ALTER TABLE users
    ADD COLUMN fields jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN profile_at timestamptz,
    ADD COLUMN alive_at timestamptz,
    ADD COLUMN deleted_at timestamptz;
COMMENT ON COLUMN users.fields IS 'What is known of the user, by name: {"email": {"value": …, "at": …}}; at is the date of the source, by Auth0''s clock. A newer source wins, field by field.';
COMMENT ON COLUMN users.profile_at IS 'The date of that profile: its own updated_at, by Auth0''s clock.';
COMMENT ON COLUMN users.alive_at IS 'Newest sign of life by the date of its source: a login, a sign-up, a write, a profile.';
COMMENT ON COLUMN users.deleted_at IS 'Newest deletion by the record''s own date, or when Auth0 said that it does not know the user. What is older is kept no more.';
COMMENT ON COLUMN users.profile IS 'The newest whole profile, read from Auth0 or shown by a record, without addresses and tokens; null while there is none.';
COMMENT ON COLUMN users.fetched_at IS 'When Auth0 was last asked for the profile, by Postgres'' clock; null until it was.';
COMMENT ON COLUMN users.first_seen_at IS 'The earliest date of anything that named the user.';
COMMENT ON COLUMN users.gone_at IS 'The tombstone: deleted_at, where it is not older than alive_at; null while the user lives.';
