-- Users: the local copy, names, deletions and erasures, and what the data API stores of them.

CREATE TABLE users (
    user_id       text COLLATE "C" PRIMARY KEY,
    profile       jsonb,
    fetched_at    timestamptz,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    gone_at       timestamptz,
    fields        jsonb NOT NULL DEFAULT '{}',
    profile_at    timestamptz,
    alive_at      timestamptz,
    deleted_at    timestamptz,
    asked_at      timestamptz,
    gone_since    timestamptz
) WITH (fillfactor = 85);
COMMENT ON TABLE users IS 'The local copy of users. Reconcile creates a row when Auth0 returns a user, and only erase removes one: about as many rows as the tenant has active users (3 million at 3 million users). The fold changes e-mail, name, picture and last login of existing rows. The next responses bring a restored older copy up to date.';
COMMENT ON COLUMN users.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN users.profile IS 'The profile in the newest response, without the address of the last login and without identities; no record changes it. Null for a user who is gone, and after `rolekeeper tenant move`.';
COMMENT ON COLUMN users.fetched_at IS 'Time of the last request for the profile, by Postgres'' clock; null before the first, and before the first after `rolekeeper tenant move`, which empties the whole copy.';
COMMENT ON COLUMN users.first_seen_at IS 'Time at which Auth0 first returned the user.';
COMMENT ON COLUMN users.last_login_at IS 'Newest login, by the newest response or by a newer record.';
COMMENT ON COLUMN users.gone_at IS 'The tombstone: time of the request for the newest response, if Auth0 did not know the user; else null. Records do not change this row.';
COMMENT ON COLUMN users.fields IS 'The known fields of the user, by name: {"email": {"value": …, "at": …}}. A response replaces all older data; its at is asked_at. A newer record changes email, name and picture; its at is its own date, at most the time its stream stored it.';
COMMENT ON COLUMN users.profile_at IS 'The same as asked_at if there is a profile.';
COMMENT ON COLUMN users.alive_at IS 'Time of the request for the newest response that showed the user.';
COMMENT ON COLUMN users.deleted_at IS 'Time of the request for the newest response that did not know the user.';
COMMENT ON COLUMN users.asked_at IS 'Time of the request for the newest response of the Management API, by Postgres'' clock. A record dated before it changes nothing.';
COMMENT ON COLUMN users.gone_since IS 'Time of the request for the first of the uninterrupted responses that Auth0 does not know the user; null while it knows the user. The next read comes after as much time as has passed since, after 30 days at the latest.';

CREATE TABLE reverify (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    before      timestamptz NOT NULL DEFAULT '-infinity',
    reported_at timestamptz NOT NULL
);
COMMENT ON TABLE reverify IS 'One row at most: users were imported in bulk, so that older verifications of holders do not count. The fold of AUTH0_LOGS writes reported_at, the sweep moves before; nothing removes it. With a restored older copy, only some older verifications count again.';
COMMENT ON COLUMN reverify.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN reverify.before IS 'A verification before this time does not count. The sweep sets it to reported_at, once an hour at most.';
COMMENT ON COLUMN reverify.reported_at IS 'Time at which the newest record of an import was folded.';

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

CREATE TABLE display_names (
    user_id      text COLLATE "C" PRIMARY KEY,
    request_id   uuid,
    requested    text,
    requested_at timestamptz,
    refused      text,
    refused_at   timestamptz,
    refusal      text,
    CHECK ((request_id IS NULL) = (requested IS NULL) AND (request_id IS NULL) = (requested_at IS NULL)),
    CHECK ((refused IS NULL) = (refused_at IS NULL) AND (refused IS NULL) = (refusal IS NULL)),
    CHECK (request_id IS NOT NULL OR refused IS NOT NULL)
);
COMMENT ON TABLE display_names IS 'Display names that will be written to a profile, or were refused; a row is removed when its request is applied.';
COMMENT ON COLUMN display_names.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN display_names.request_id IS 'Identifies the newest request (UUIDv7), so that a later one does not count as applied; null when there is none.';
COMMENT ON COLUMN display_names.requested IS 'The requested name; null when there is no request.';
COMMENT ON COLUMN display_names.requested_at IS 'Time of the request.';
COMMENT ON COLUMN display_names.refused IS 'The name, requested or default, with which Auth0 last refused a write; null when none was refused. No name of the user is sent for a day, unless the user requests another.';
COMMENT ON COLUMN display_names.refused_at IS 'Time of that refusal.';
COMMENT ON COLUMN display_names.refusal IS 'Auth0''s error text, for the operator.';

CREATE TABLE display_name_writes (
    user_id    text COLLATE "C" PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now(),
    refused    boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE display_name_writes IS 'Users whose display name was written, or refused, within the last minute. Written by reconcile with the result of a request; at 3 million users one row for each name written in a minute; the sweep removes rows older than a minute. An older copy delays a name by a minute at most.';
COMMENT ON COLUMN display_name_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN display_name_writes.written_at IS 'Time of that write; the next request of the user is written a minute later, unless another write comes before.';
COMMENT ON COLUMN display_name_writes.refused IS 'Auth0 refused the write: a write within the next minute has no name.';

-- These tables do not identify the users that they name.
CREATE TABLE erasures (
    user_hash bytea PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erasures IS 'Permanently erased users. Later data that names one of them is dropped.';
COMMENT ON COLUMN erasures.user_hash IS 'HMAC-SHA-256 of the Auth0 user id under ERASURE_KEY; the id cannot be derived from it without that key.';
COMMENT ON COLUMN erasures.erased_at IS 'Time of the erasure.';

CREATE TABLE erasure_key (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    check_value bytea NOT NULL
);
COMMENT ON TABLE erasure_key IS 'Verifies that ERASURE_KEY is the key of the erasures; one row from the first erasure on.';
COMMENT ON COLUMN erasure_key.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN erasure_key.check_value IS 'HMAC-SHA-256 of a fixed text under that key.';

-- The app's data of its users, written through the data API.
CREATE TABLE songs (
    song_id  text COLLATE "C" PRIMARY KEY,
    user_id  text COLLATE "C" NOT NULL,
    songname text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX songs_user ON songs (user_id, song_id);
COMMENT ON TABLE songs IS 'Songs that users added; only the data API writes them.';
COMMENT ON COLUMN songs.song_id IS 's_ and a UUIDv7, so ids are in order of adding.';
COMMENT ON COLUMN songs.user_id IS 'Auth0 user id of the user who added it; only this user sees it.';
COMMENT ON COLUMN songs.songname IS 'Name from the request.';
COMMENT ON COLUMN songs.added_at IS 'When it was added.';

CREATE TABLE user_data (
    user_id         text COLLATE "C" PRIMARY KEY,
    favourite_genre text NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE user_data IS 'Choices of users through the data API that Auth0 does not need.';
COMMENT ON COLUMN user_data.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN user_data.favourite_genre IS 'One of the genres that were configured when it was chosen.';
COMMENT ON COLUMN user_data.changed_at IS 'When it was last chosen.';

CREATE TABLE featured_playlists (
    user_id     text COLLATE "C" PRIMARY KEY,
    playlist_id text COLLATE "C" NOT NULL,
    featured_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE featured_playlists IS 'The featured playlist of each editor: one per user. It counts only while the user owns the playlist and it is not deleted.';
COMMENT ON COLUMN featured_playlists.user_id IS 'Auth0 user id of the editor.';
COMMENT ON COLUMN featured_playlists.playlist_id IS 'A playlist of that user when it was featured.';
COMMENT ON COLUMN featured_playlists.featured_at IS 'When it was featured.';

CREATE TABLE publish_budgets (
    user_id text PRIMARY KEY,
    full_at timestamptz NOT NULL
);
CREATE INDEX publish_budgets_full ON publish_budgets (full_at);
COMMENT ON TABLE publish_budgets IS 'Budget of publishing writes of each user of the data API. Written by the data API; one row for each user who published within the last day; a row whose budget is full again is redundant and is removed, a few at each write. With a restored older copy users get back the budget that they spent since.';
COMMENT ON COLUMN publish_budgets.user_id IS 'The user.';
COMMENT ON COLUMN publish_budgets.full_at IS 'Time at which the budget is full again, by Postgres'' clock. Each write moves it by a day''s share; the budget is used up when it is a day ahead.';
