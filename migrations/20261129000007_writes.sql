-- Writes to profiles, ours and other clients', and the races between them.

CREATE TABLE profile_writes (
    write_id         uuid PRIMARY KEY,
    user_id          text COLLATE "C" NOT NULL,
    read_roles       jsonb NOT NULL,
    read_updated_at  timestamptz,
    wrote_roles      jsonb NOT NULL,
    resolved_since   timestamptz,
    attempted_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at     timestamptz,
    wrote_updated_at timestamptz,
    answered         boolean NOT NULL DEFAULT false,
    followed_up_at   timestamptz,
    recorded         boolean NOT NULL DEFAULT true,
    read_date        timestamptz,
    closed           text CHECK (closed IN ('refused', 'not_seen')),
    late_check_at    timestamptz,
    managed          text[],
    read_created_at  timestamptz
) WITH (fillfactor = 85);
CREATE INDEX profile_writes_open ON profile_writes (attempted_at) WHERE followed_up_at IS NULL;
-- By Postgres' clock, not by ids, which contain the clock of the worker that created them.
CREATE INDEX profile_writes_user_time ON profile_writes (user_id, attempted_at);
-- Writes without a response; writes that records reported; the oldest, to be removed; those that no attempt saw.
CREATE INDEX profile_writes_unanswered ON profile_writes (attempted_at)
    WHERE completed_at IS NULL AND followed_up_at IS NULL;
CREATE INDEX profile_writes_reported ON profile_writes (attempted_at)
    WHERE completed_at IS NOT NULL AND followed_up_at IS NOT NULL;
CREATE INDEX profile_writes_attempted ON profile_writes (attempted_at);
CREATE INDEX profile_writes_not_seen ON profile_writes (attempted_at)
    WHERE closed = 'not_seen' AND late_check_at IS NULL;
COMMENT ON TABLE profile_writes IS 'Each of our PATCHes to app_metadata.roles, from just before it is sent; kept for some days.';
COMMENT ON COLUMN profile_writes.write_id IS 'UUIDv7.';
COMMENT ON COLUMN profile_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN profile_writes.read_roles IS 'The roles in the response to the GET before it.';
COMMENT ON COLUMN profile_writes.read_updated_at IS 'The profile''s updated_at in that GET, by Auth0''s clock; null if it had none.';
COMMENT ON COLUMN profile_writes.wrote_roles IS 'The whole roles array that we sent.';
COMMENT ON COLUMN profile_writes.resolved_since IS 'Start of the period for which other clients'' writes were resolved, by Auth0''s clock; null if none of their entries changes.';
COMMENT ON COLUMN profile_writes.attempted_at IS 'Time just before it was sent.';
COMMENT ON COLUMN profile_writes.completed_at IS 'Time at which it was known to be done, by its response or by a later attempt; null before.';
COMMENT ON COLUMN profile_writes.wrote_updated_at IS 'The profile''s updated_at after the write, by Auth0''s clock; null while it is unknown.';
COMMENT ON COLUMN profile_writes.answered IS 'Its response was read, so its result is certain.';
COMMENT ON COLUMN profile_writes.followed_up_at IS 'Time at which the tenant''s log reported it, it was closed, or the sweep enqueued the user because neither had happened.';
COMMENT ON COLUMN profile_writes.recorded IS 'Its effect on the managed roles is recorded in assignments. False from just before it is sent; a worker that lost its lease leaves it false, and the next attempt resolves it.';
COMMENT ON COLUMN profile_writes.read_date IS 'The Date header of the response to the GET, by Auth0''s clock, whole seconds; null if it had none. Our read includes another client''s write before this time.';
COMMENT ON COLUMN profile_writes.read_created_at IS 'The profile''s created_at in that GET, by Auth0''s clock; null if it had none. A profile that was created later is that of another account, made again under the same id.';
COMMENT ON COLUMN profile_writes.closed IS 'Reason why no later attempt can complete it: refused: Auth0 returned an error before it applied anything; not_seen: the first attempt after its settle delay did not see it. Null otherwise.';
COMMENT ON COLUMN profile_writes.late_check_at IS 'Time at which the user was queued again, as a verification after a write that was closed because an attempt did not see it; null before, and for other writes.';
COMMENT ON COLUMN profile_writes.managed IS 'Roles that it granted or revoked because the rules at that time managed them.';

CREATE TABLE foreign_writes (
    user_id    text COLLATE "C" NOT NULL,
    record_id  text COLLATE "C" NOT NULL,
    written_at timestamptz NOT NULL,
    roles      jsonb NOT NULL,
    wiped      boolean NOT NULL,
    noted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    log_id     text,
    client_id  text,
    dated_at   timestamptz,
    asked_at   timestamptz,
    ask_at     timestamptz,
    asks       integer NOT NULL DEFAULT 0,
    verdict    text CHECK (verdict IN ('confirmed', 'unknown', 'differs', 'no_scope', 'unanswered')),
    own        boolean NOT NULL DEFAULT false,
    write_id   uuid,
    PRIMARY KEY (user_id, record_id)
);
CREATE INDEX foreign_writes_noted ON foreign_writes (noted_at);
CREATE INDEX foreign_writes_to_ask ON foreign_writes (ask_at) WHERE ask_at IS NOT NULL;
CREATE INDEX foreign_writes_own ON foreign_writes (user_id, asked_at) WHERE own;
COMMENT ON TABLE foreign_writes IS 'Writes to roles by other clients, from the tenant''s log; kept a little longer than profile_writes.';
COMMENT ON COLUMN foreign_writes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN foreign_writes.record_id IS 'log_id of the record, or its store time in the stream if it has none.';
COMMENT ON COLUMN foreign_writes.written_at IS 'The profile''s updated_at after the write, or the record''s date if the record does not show it; by Auth0''s clock.';
COMMENT ON COLUMN foreign_writes.roles IS 'The whole roles array that they wrote.';
COMMENT ON COLUMN foreign_writes.wiped IS 'They sent an empty app_metadata, on which Auth0 deletes everything in it.';
COMMENT ON COLUMN foreign_writes.noted_at IS 'Time at which the record was folded.';
COMMENT ON COLUMN foreign_writes.log_id IS 'log_id of the request to Auth0 for the record; null if Auth0 cannot confirm it: no log_id, or an event of Event Streams.';
COMMENT ON COLUMN foreign_writes.client_id IS 'The client that wrote, from the record; null if the record names none.';
COMMENT ON COLUMN foreign_writes.dated_at IS 'The record''s own date, by Auth0''s clock; null if it has none.';
COMMENT ON COLUMN foreign_writes.asked_at IS 'Time at which the record first had to be confirmed, because an attempt needed it, or because it names our own client id; null before.';
COMMENT ON COLUMN foreign_writes.ask_at IS 'Time of the next request to Auth0; null when none is due.';
COMMENT ON COLUMN foreign_writes.asks IS 'Number of requests to Auth0.';
COMMENT ON COLUMN foreign_writes.verdict IS 'confirmed: Auth0 returned the same record; unknown: it did not know the log_id for ten minutes; differs: it returned another record; no_scope: our client cannot read the log; unanswered: it returned nothing useful for a day. Null before the verdict.';
COMMENT ON COLUMN foreign_writes.own IS 'The record names our own client id, and profile_writes has no matching write: Auth0 is asked at once, and a confirmed record stops the writes. It causes no restore.';
COMMENT ON COLUMN foreign_writes.write_id IS 'The write of ours without a response that a record under our own client id reports, in profile_writes while that row is kept; it counts once Auth0 confirms the record. Null otherwise.';

CREATE TABLE races (
    race_id          uuid PRIMARY KEY,
    user_id          text COLLATE "C" NOT NULL,
    write_id         uuid NOT NULL,
    record_id        text COLLATE "C" NOT NULL,
    base             jsonb NOT NULL,
    ours             jsonb NOT NULL,
    theirs           jsonb NOT NULL,
    found            jsonb NOT NULL,
    found_updated_at timestamptz NOT NULL,
    merged           jsonb,
    found_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at       timestamptz,
    outcome          text CHECK (outcome IN ('merged', 'nothing_lost', 'unresolved', 'unconfirmed', 'dropped')),
    held             boolean NOT NULL DEFAULT false,
    released         boolean NOT NULL DEFAULT false
);
CREATE INDEX races_open ON races (found_at) WHERE outcome IS NULL;
CREATE INDEX races_user ON races (user_id, found_at);
CREATE INDEX races_held ON races (user_id) WHERE held AND outcome IS NULL;
CREATE INDEX races_settled ON races (settled_at) WHERE settled_at IS NOT NULL;
COMMENT ON TABLE races IS 'Writes of other clients between our read and our write, and how each case ended; kept for 90 days after the settlement. Written by reconcile, removed by the sweep.';
COMMENT ON COLUMN races.race_id IS 'UUIDv7; the order of discovery is that of found_at.';
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
COMMENT ON COLUMN races.outcome IS 'merged: their change was restored; nothing_lost: it stands; unresolved: no record explains the profile, or only a forbidden role is missing, left to the operator; unconfirmed: Auth0 did not confirm the record, nothing was written; dropped: the operator dropped it from the brake. Null while open.';
COMMENT ON COLUMN races.held IS 'The brake on restores holds it until the operator acts.';
COMMENT ON COLUMN races.released IS 'The operator has released it from the brake.';
