-- The first schema: facts, cursors, work queue, assignments and the audit.
-- Ids compare byte by byte (collation "C"): cheaper, and the same on every machine.

CREATE TABLE stream_cursors (
    stream         text COLLATE "C" PRIMARY KEY,
    created_ns     bigint NOT NULL,
    last_seq       bigint NOT NULL CHECK (last_seq >= 0),
    last_stored_ns bigint NOT NULL,
    epoch          bigint NOT NULL DEFAULT 1,
    moved_at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE stream_cursors IS 'How far each stream is folded; it moves in the transaction of the facts up to it.';
COMMENT ON COLUMN stream_cursors.stream IS 'JetStream stream name.';
COMMENT ON COLUMN stream_cursors.created_ns IS 'Creation time of that stream, Unix nanoseconds by the server; another value means another stream.';
COMMENT ON COLUMN stream_cursors.last_seq IS 'Stream sequence of the last message folded; 0 when none was.';
COMMENT ON COLUMN stream_cursors.last_stored_ns IS 'Store time of that message, Unix nanoseconds; 0 when none was read. It distinguishes a restored stream from the known one.';
COMMENT ON COLUMN stream_cursors.epoch IS 'Raised whenever the operator sets the cursor, so that a worker that missed the change cannot commit.';
COMMENT ON COLUMN stream_cursors.moved_at IS 'Time at which the cursor last moved.';

CREATE TABLE stream_losses (
    loss_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream      text COLLATE "C" NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('recreated', 'rewound', 'purged', 'overtaken', 'hole', 'replaced')),
    detail      text NOT NULL,
    found_at    timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz
);
CREATE UNIQUE INDEX stream_losses_open ON stream_losses (stream) WHERE accepted_at IS NULL;
COMMENT ON TABLE stream_losses IS 'Events that were lost from a stream before they were folded; while a loss is open, its fold is stopped and revokes are held.';
COMMENT ON COLUMN stream_losses.loss_id IS 'Number of the loss.';
COMMENT ON COLUMN stream_losses.stream IS 'JetStream stream name.';
COMMENT ON COLUMN stream_losses.kind IS 'Kind of the loss.';
COMMENT ON COLUMN stream_losses.detail IS 'The expected and the found state, for the operator.';
COMMENT ON COLUMN stream_losses.found_at IS 'Time at which the fold found it.';
COMMENT ON COLUMN stream_losses.accepted_at IS 'Time at which the operator accepted it with accept-stream; null while it is open.';

CREATE TABLE rules_in_force (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    fingerprint text NOT NULL,
    rules       jsonb NOT NULL,
    since       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE rules_in_force IS 'The rules in force; one row.';
COMMENT ON COLUMN rules_in_force.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN rules_in_force.fingerprint IS 'SHA-256 of the rules in canonical form; the fold commits only under rules that it knows.';
COMMENT ON COLUMN rules_in_force.rules IS 'The rules themselves, for operators and other versions.';
COMMENT ON COLUMN rules_in_force.since IS 'Time of their activation.';

CREATE TABLE playlists (
    playlist_id text COLLATE "C" PRIMARY KEY,
    plays       bigint NOT NULL DEFAULT 0,
    deleted     boolean NOT NULL DEFAULT false,
    owner_id    text COLLATE "C",
    name        text
) WITH (fillfactor = 85);  -- updates of counters stay in place while the page has room
CREATE INDEX playlists_owner ON playlists (owner_id) WHERE owner_id IS NOT NULL;
COMMENT ON TABLE playlists IS 'Plays and owner of each playlist that an event has named.';
COMMENT ON COLUMN playlists.playlist_id IS 'The app''s id of the playlist.';
COMMENT ON COLUMN playlists.plays IS 'Plays minus retractions; below 0 while a retraction came before its play, and then shown as 0.';
COMMENT ON COLUMN playlists.deleted IS 'A deleted playlist counts no plays; when saved again it starts at 0.';
COMMENT ON COLUMN playlists.owner_id IS 'Auth0 user id of the owner; null until the playlist was saved.';
COMMENT ON COLUMN playlists.name IS 'Name as last saved; null until the playlist was saved.';

CREATE TABLE retractions (
    retracted_id text COLLATE "C" PRIMARY KEY,
    counted_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retractions IS 'Event ids of retracted plays; each counts once.';
COMMENT ON COLUMN retractions.retracted_id IS 'Event id of the play that was retracted.';
COMMENT ON COLUMN retractions.counted_at IS 'Time at which its first retraction was folded.';

CREATE TABLE dead_letters (
    stream     text COLLATE "C" NOT NULL,
    stream_seq bigint NOT NULL,
    subject    text NOT NULL,
    reason     text NOT NULL,
    detail     text NOT NULL,
    payload    bytea NOT NULL,
    size_bytes bigint NOT NULL,
    stored_at  timestamptz NOT NULL,
    kept_at    timestamptz NOT NULL DEFAULT now(),
    -- a stream that was created again, or restored, repeats sequences
    PRIMARY KEY (stream, stream_seq, stored_at)
);
COMMENT ON TABLE dead_letters IS 'Messages that could not be read, kept for the operator; capped per reason and hour, see dead_letter_totals.';
COMMENT ON COLUMN dead_letters.stream IS 'Stream of the message.';
COMMENT ON COLUMN dead_letters.stream_seq IS 'Its stream sequence.';
COMMENT ON COLUMN dead_letters.subject IS 'Subject under which it was published.';
COMMENT ON COLUMN dead_letters.reason IS 'Closed set of reasons; the label of the metric.';
COMMENT ON COLUMN dead_letters.detail IS 'Names the field and what was expected.';
COMMENT ON COLUMN dead_letters.payload IS 'First 4 KiB of the received message.';
COMMENT ON COLUMN dead_letters.size_bytes IS 'Size of the whole message.';
COMMENT ON COLUMN dead_letters.stored_at IS 'Store time in the stream.';
COMMENT ON COLUMN dead_letters.kept_at IS 'Time at which the fold read it.';

CREATE TABLE dead_letter_totals (
    stream text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    hour   timestamptz NOT NULL,
    total  bigint NOT NULL,
    PRIMARY KEY (stream, reason, hour)
);
COMMENT ON TABLE dead_letter_totals IS 'How many messages could not be read, by reason and hour; also those beyond the cap on dead_letters.';
COMMENT ON COLUMN dead_letter_totals.stream IS 'Stream of the messages.';
COMMENT ON COLUMN dead_letter_totals.reason IS 'Closed set of reasons.';
COMMENT ON COLUMN dead_letter_totals.hour IS 'Start of the hour in which the fold read them.';
COMMENT ON COLUMN dead_letter_totals.total IS 'Number of messages.';

CREATE TABLE users (
    user_id       text COLLATE "C" PRIMARY KEY,
    profile       jsonb,
    fetched_at    timestamptz,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    gone_at       timestamptz
) WITH (fillfactor = 85);
COMMENT ON TABLE users IS 'The local copy of users, from records and responses of the tenant.';
COMMENT ON COLUMN users.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN users.profile IS 'The profile as last read from Auth0; null until the first read.';
COMMENT ON COLUMN users.fetched_at IS 'Time of that read.';
COMMENT ON COLUMN users.first_seen_at IS 'Time at which a record or event first named the user.';
COMMENT ON COLUMN users.last_login_at IS 'Newest login by the record''s own date.';
COMMENT ON COLUMN users.gone_at IS 'Time at which Auth0 no longer knew the user; null while it knows the id.';

CREATE TABLE nominations (
    user_id         text COLLATE "C" PRIMARY KEY,
    urgency         smallint NOT NULL CHECK (urgency BETWEEN 0 AND 3),
    generation      bigint NOT NULL DEFAULT 1,
    observe         boolean NOT NULL DEFAULT false,
    cause_event     text,
    cause_plays     bigint,
    cause_stored_at timestamptz,
    nominated_at    timestamptz NOT NULL DEFAULT now(),
    due_at          timestamptz NOT NULL DEFAULT now(),
    lease           uuid,
    lease_until     timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    last_error      text,
    parked_at       timestamptz,
    held            text CHECK (held IN ('stream_loss'))
) WITH (fillfactor = 70);
CREATE INDEX nominations_due ON nominations (urgency, due_at) WHERE parked_at IS NULL AND held IS NULL;
COMMENT ON TABLE nominations IS 'The work queue: users who wait for an attempt; one row per user, regardless of the number of events.';
COMMENT ON COLUMN nominations.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN nominations.urgency IS '0 a role may have to be revoked, 1 a role may be due, 2 a new user, 3 verification.';
COMMENT ON COLUMN nominations.generation IS 'Raised by each enqueue; an attempt that finds it raised leaves the user due.';
COMMENT ON COLUMN nominations.observe IS 'The profile must be read even if the user is up to date by our own records.';
COMMENT ON COLUMN nominations.cause_event IS 'Id of the event that moved the user across the threshold; null for any other cause.';
COMMENT ON COLUMN nominations.cause_plays IS 'Plays of the playlist right after that event.';
COMMENT ON COLUMN nominations.cause_stored_at IS 'Store time of that event in the stream.';
COMMENT ON COLUMN nominations.nominated_at IS 'First enqueue since the user was last up to date.';
COMMENT ON COLUMN nominations.due_at IS 'No attempt starts before this time.';
COMMENT ON COLUMN nominations.lease IS 'The attempt in flight for the user.';
COMMENT ON COLUMN nominations.lease_until IS 'End of the lease: after it another attempt may take the user.';
COMMENT ON COLUMN nominations.attempts IS 'Failed attempts in a row; rate limits do not count.';
COMMENT ON COLUMN nominations.last_error IS 'Error of the last failed attempt.';
COMMENT ON COLUMN nominations.parked_at IS 'Time since which the user waits for the operator; null when not parked.';
COMMENT ON COLUMN nominations.held IS 'Reason why a revoke waits for the operator; null when none waits.';

CREATE TABLE assignments (
    user_id     text COLLATE "C" NOT NULL,
    role        text COLLATE "C" NOT NULL,
    wanted      boolean NOT NULL,
    held        boolean NOT NULL,
    adopted     boolean NOT NULL,
    since       timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,
    PRIMARY KEY (user_id, role)
) WITH (fillfactor = 85);
COMMENT ON TABLE assignments IS 'The last decision and observation for each managed role and user; no row means below the threshold and never read.';
COMMENT ON COLUMN assignments.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN assignments.role IS 'An entry of app_metadata.roles that a rule names.';
COMMENT ON COLUMN assignments.wanted IS 'Last result of the rules; between the thresholds it stays.';
COMMENT ON COLUMN assignments.held IS 'The profile had the role when it was last read or written.';
COMMENT ON COLUMN assignments.adopted IS 'We may revoke the role: we granted it, found it while it was earned, or an operator adopted it.';
COMMENT ON COLUMN assignments.since IS 'Time of the last observed change of held.';
COMMENT ON COLUMN assignments.verified_at IS 'Time at which the profile was last read; null requires an attempt.';

CREATE TABLE role_changes (
    change_id       uuid PRIMARY KEY,
    user_id         text COLLATE "C" NOT NULL,
    role            text COLLATE "C" NOT NULL,
    change          text NOT NULL CHECK (change IN ('granted', 'revoked')),
    plays           bigint NOT NULL,
    rule            jsonb NOT NULL,
    event_id        text,
    event_stored_at timestamptz,
    decided_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempted_at    timestamptz,
    completed_at    timestamptz,
    outcome         text CHECK (outcome IN ('written', 'confirmed', 'superseded', 'gone', 'shadow')),
    queued_ms       bigint NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX role_changes_user ON role_changes (user_id, change_id);
CREATE INDEX role_changes_open ON role_changes (user_id) WHERE outcome IS NULL;
COMMENT ON TABLE role_changes IS 'The audit: each change of a role, decided before the attempt and completed after it; rows are never removed.';
COMMENT ON COLUMN role_changes.change_id IS 'UUIDv7, in order of decision.';
COMMENT ON COLUMN role_changes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN role_changes.role IS 'The role.';
COMMENT ON COLUMN role_changes.change IS 'Granted or revoked.';
COMMENT ON COLUMN role_changes.plays IS 'Plays measured by the rule at the decision.';
COMMENT ON COLUMN role_changes.rule IS 'The rule that decided.';
COMMENT ON COLUMN role_changes.event_id IS 'The latest event that moved the user across a threshold of any rule, if one did.';
COMMENT ON COLUMN role_changes.event_stored_at IS 'Store time of that event in the stream.';
COMMENT ON COLUMN role_changes.decided_at IS 'Time of the decision, before any call.';
COMMENT ON COLUMN role_changes.attempted_at IS 'Time at which its last write was sent; null before the first.';
COMMENT ON COLUMN role_changes.completed_at IS 'Time at which it was known to be done; null if it was never done.';
COMMENT ON COLUMN role_changes.outcome IS 'written: Auth0 responded to our write; confirmed: a later attempt saw it; superseded: no longer wanted and not seen; gone: Auth0 no longer knows the user; shadow: decided with writes off. Null while open.';
COMMENT ON COLUMN role_changes.queued_ms IS 'Time for which the user was due before the attempt, milliseconds: waiting for other users and for the tenant''s rate limit.';
