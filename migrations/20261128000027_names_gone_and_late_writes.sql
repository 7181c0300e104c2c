-- One write of a display name a user and minute; users who are gone are asked for less and less often; writes that were not seen
-- applied are looked after once more.
SET LOCAL lock_timeout = '5s';

CREATE TABLE display_name_writes (
    user_id    text COLLATE "C" PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE display_name_writes IS 'Users whose display name was written, or refused, a moment ago. Written by reconcile with the result of a wish; at 3 million users as many rows as names are written in a minute; the sweep removes what is older than a minute. An older copy delays a name by a minute at most.';
COMMENT ON COLUMN display_name_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN display_name_writes.written_at IS 'When that was; the next wish of the user is written a minute later, unless something else is written before.';

ALTER TABLE users ADD COLUMN gone_since timestamptz;
COMMENT ON COLUMN users.gone_since IS 'When the first of the answers was asked for that Auth0 does not know the user, without another one between; null while it knows the user. A user is asked for again after as long as that lasts, after 30 days at the latest.';

ALTER TABLE profile_writes ADD COLUMN looked_late_at timestamptz;
COMMENT ON COLUMN profile_writes.looked_late_at IS 'When the user was queued once more, a verification after a write that was closed because a look did not see it; null before, and for other writes.';
CREATE INDEX profile_writes_not_seen ON profile_writes (attempted_at) WHERE closed = 'not_seen' AND looked_late_at IS NULL;
