-- One write of a display name per user and minute; fewer and fewer reads of users who are gone; one more attempt for writes that
-- were not seen applied.
SET LOCAL lock_timeout = '5s';

CREATE TABLE display_name_writes (
    user_id    text COLLATE "C" PRIMARY KEY,
    written_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE display_name_writes IS 'Users whose display name was written, or refused, within the last minute. Written by reconcile with the result of a request; at 3 million users one row for each name written in a minute; the sweep removes rows older than a minute. An older copy delays a name by a minute at most.';
COMMENT ON COLUMN display_name_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN display_name_writes.written_at IS 'Time of that write; the next request of the user is written a minute later, unless another write comes before.';

ALTER TABLE users ADD COLUMN gone_since timestamptz;
COMMENT ON COLUMN users.gone_since IS 'Time of the request for the first of the uninterrupted responses that Auth0 does not know the user; null while it knows the user. The next read comes after as much time as has passed since, after 30 days at the latest.';

ALTER TABLE profile_writes ADD COLUMN looked_late_at timestamptz;
COMMENT ON COLUMN profile_writes.looked_late_at IS 'Time at which the user was queued again, as a verification after a write that was closed because an attempt did not see it; null before, and for other writes.';
CREATE INDEX profile_writes_not_seen ON profile_writes (attempted_at) WHERE closed = 'not_seen' AND looked_late_at IS NULL;
