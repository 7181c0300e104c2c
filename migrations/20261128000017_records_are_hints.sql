-- A record is a hint: the copy of a user follows Auth0's responses, and an import is one mark instead of a write to each holder.
-- A worker of the version before works as before; the next response replaces the data that it takes from records.
SET LOCAL lock_timeout = '5s';

ALTER TABLE users ADD COLUMN asked_at timestamptz;
COMMENT ON TABLE users IS 'The local copy of users. Reconcile creates a row when Auth0 returns a user, and only erase removes one: about as many rows as the tenant has active users (3 million at 3 million users). The fold changes e-mail, name, picture and last login of existing rows. The next responses bring a restored older copy up to date.';
COMMENT ON COLUMN users.asked_at IS 'Time of the request for the newest response of the Management API, by Postgres'' clock; null for a row from before this column, which counts as having no response. A record dated before it changes nothing.';
COMMENT ON COLUMN users.fields IS 'The known fields of the user, by name: {"email": {"value": …, "at": …}}. A response replaces all older data; its at is asked_at. A newer record changes email, name and picture; its at is its own date, at most the time its stream stored it.';
COMMENT ON COLUMN users.profile IS 'The profile in the newest response, without addresses and tokens; no record changes it. Null for a user who is gone.';
COMMENT ON COLUMN users.profile_at IS 'The same as asked_at if there is a profile.';
COMMENT ON COLUMN users.first_seen_at IS 'Time at which Auth0 first returned the user; in rows from before asked_at the earliest date of a record or event that named the user.';
COMMENT ON COLUMN users.last_login_at IS 'Newest login, by the newest response or by a newer record.';
COMMENT ON COLUMN users.alive_at IS 'Time of the request for the newest response that showed the user; kept for workers of the version before.';
COMMENT ON COLUMN users.deleted_at IS 'Time of the request for the newest response that did not know the user; kept for workers of the version before.';
COMMENT ON COLUMN users.gone_at IS 'The tombstone: time of the request for the newest response, if Auth0 did not know the user; else null. Records do not change this row.';

CREATE TABLE verify_anew (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    before   timestamptz NOT NULL DEFAULT '-infinity',
    told_at  timestamptz NOT NULL
);
COMMENT ON TABLE verify_anew IS 'One row at most: users were imported in bulk, so that older verifications of holders do not count. The fold of AUTH0_LOGS writes told_at, the sweep moves before; nothing removes it. With a restored older copy, only some older verifications count again.';
COMMENT ON COLUMN verify_anew.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN verify_anew.before IS 'A verification before this time does not count. The sweep sets it to told_at, once an hour at most.';
COMMENT ON COLUMN verify_anew.told_at IS 'Time at which the newest record of an import was folded.';

COMMENT ON COLUMN nominations.urgency IS '0 a role may have to be revoked, 1 a role may be due, 2 a requested display name, 3 a record of the tenant''s log alone, 4 verification. Users of 3 get a quarter of the rate at most.';
