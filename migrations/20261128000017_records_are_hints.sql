-- A record is a hint: the copy of a user is what Auth0 answered, and an import is one mark in place of a write to each holder.
-- A worker of the version before goes on as it did; what it takes from records, the next answer replaces.
SET LOCAL lock_timeout = '5s';

ALTER TABLE users ADD COLUMN asked_at timestamptz;
COMMENT ON TABLE users IS 'The local copy of users. Reconcile makes a row when Auth0 answers for a user, and only erase removes one: about as many rows as the tenant has active users (3 million at 3 million users). The fold changes e-mail, name, picture and last login of rows that are there. A restored older copy is brought up to date by the next answers.';
COMMENT ON COLUMN users.asked_at IS 'When the newest answer of the Management API was asked for, by Postgres'' clock; null for a row of before this column, which counts as never answered. A record dated before it changes nothing.';
COMMENT ON COLUMN users.fields IS 'What is known of the user, by name: {"email": {"value": …, "at": …}}. An answer replaces all that is older; its at is asked_at. A newer record changes email, name and picture; its at is its own date, at most the time its stream stored it.';
COMMENT ON COLUMN users.profile IS 'The profile as the newest answer showed it, without addresses and tokens; no record changes it. Null for a user who is gone.';
COMMENT ON COLUMN users.profile_at IS 'The same as asked_at where there is a profile.';
COMMENT ON COLUMN users.first_seen_at IS 'When Auth0 first answered for the user; in rows of before asked_at the earliest date of anything that named them.';
COMMENT ON COLUMN users.last_login_at IS 'Newest login, by the newest answer or by a record newer than it.';
COMMENT ON COLUMN users.alive_at IS 'When the newest answer that showed the user was asked for; kept for workers of the version before.';
COMMENT ON COLUMN users.deleted_at IS 'When the newest answer that did not know the user was asked for; kept for workers of the version before.';
COMMENT ON COLUMN users.gone_at IS 'The tombstone: when the newest answer was asked for, if that said that Auth0 does not know the user; else null. Such a row takes nothing from records.';

CREATE TABLE verify_anew (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    before   timestamptz NOT NULL DEFAULT '-infinity',
    told_at  timestamptz NOT NULL
);
COMMENT ON TABLE verify_anew IS 'One row at most: users were imported in bulk, so that older verifications of holders do not count. The fold of AUTH0_LOGS writes told_at, the sweep moves before; nothing removes it. A restored older copy only makes verifications count that are as old as any others.';
COMMENT ON COLUMN verify_anew.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN verify_anew.before IS 'A verification before this time does not count. The sweep sets it to told_at, once an hour at most.';
COMMENT ON COLUMN verify_anew.told_at IS 'When the newest record of an import was folded.';

COMMENT ON COLUMN nominations.urgency IS '0 a role may have to go, 1 a role may be due, 2 a wish for a display name, 3 a record of the tenant''s log alone, 4 verification. Users of 3 get a quarter of the rate at most.';
