-- The first schema: facts, cursors, nominations, assignments and the audit.
-- Ids compare byte by byte (collation "C"): cheaper, and the same on every machine.

CREATE TABLE stream_cursors (
    stream         text COLLATE "C" PRIMARY KEY,
    created_ns     bigint NOT NULL,
    last_seq       bigint NOT NULL CHECK (last_seq >= 0),
    last_stored_ns bigint NOT NULL,
    epoch          bigint NOT NULL DEFAULT 1,
    moved_at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE stream_cursors IS 'How far each stream is folded; moved in the same transaction as the facts it explains.';
COMMENT ON COLUMN stream_cursors.stream IS 'JetStream stream name.';
COMMENT ON COLUMN stream_cursors.created_ns IS 'When that stream was made, Unix nanoseconds as the server states it; another value means another stream.';
COMMENT ON COLUMN stream_cursors.last_seq IS 'Stream sequence of the last message folded; 0 when none was.';
COMMENT ON COLUMN stream_cursors.last_stored_ns IS 'Store time of that message, Unix nanoseconds; 0 when none was read. Tells a restored stream from the one we knew.';
COMMENT ON COLUMN stream_cursors.epoch IS 'Raised whenever the cursor is set by hand, so that a worker that slept through it cannot commit.';
COMMENT ON COLUMN stream_cursors.moved_at IS 'When the cursor last moved.';

CREATE TABLE stream_losses (
    loss_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream      text COLLATE "C" NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('recreated', 'rewound', 'purged', 'overtaken', 'hole', 'replaced')),
    detail      text NOT NULL,
    found_at    timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz
);
CREATE UNIQUE INDEX stream_losses_open ON stream_losses (stream) WHERE accepted_at IS NULL;
COMMENT ON TABLE stream_losses IS 'Events that went missing from a stream before they were folded; while one stands open its fold is stopped and revokes are held.';
COMMENT ON COLUMN stream_losses.loss_id IS 'Number of the loss.';
COMMENT ON COLUMN stream_losses.stream IS 'JetStream stream name.';
COMMENT ON COLUMN stream_losses.kind IS 'What happened to the stream.';
COMMENT ON COLUMN stream_losses.detail IS 'What was expected and what was found, for a person.';
COMMENT ON COLUMN stream_losses.found_at IS 'When fold noticed.';
COMMENT ON COLUMN stream_losses.accepted_at IS 'When a person accepted it with accept-stream; null while it stands.';

CREATE TABLE rules_in_force (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    fingerprint text NOT NULL,
    rules       jsonb NOT NULL,
    since       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE rules_in_force IS 'The rules that facts are judged by; one row.';
COMMENT ON COLUMN rules_in_force.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN rules_in_force.fingerprint IS 'SHA-256 of the rules in canonical form; fold commits only under rules it knows.';
COMMENT ON COLUMN rules_in_force.rules IS 'The rules themselves, for people and other versions.';
COMMENT ON COLUMN rules_in_force.since IS 'When they were taken over.';

CREATE TABLE playlists (
    playlist_id text COLLATE "C" PRIMARY KEY,
    plays       bigint NOT NULL DEFAULT 0,
    deleted     boolean NOT NULL DEFAULT false,
    owner_id    text COLLATE "C",
    name        text
) WITH (fillfactor = 85);  -- counters are updated in place while the page has room
CREATE INDEX playlists_owner ON playlists (owner_id) WHERE owner_id IS NOT NULL;
COMMENT ON TABLE playlists IS 'Plays and owner of each playlist an event has named.';
COMMENT ON COLUMN playlists.playlist_id IS 'The app''s id of the playlist.';
COMMENT ON COLUMN playlists.plays IS 'Plays minus retractions; below 0 while a retraction is ahead of its play, shown as 0 then.';
COMMENT ON COLUMN playlists.deleted IS 'A deleted playlist takes no plays; saved again it starts at 0.';
COMMENT ON COLUMN playlists.owner_id IS 'Auth0 user id of the owner; null until the playlist was saved.';
COMMENT ON COLUMN playlists.name IS 'Name as last saved; null until the playlist was saved.';

CREATE TABLE retractions (
    retracted_id text COLLATE "C" PRIMARY KEY,
    counted_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retractions IS 'Event ids whose play was taken back; each counts once.';
COMMENT ON COLUMN retractions.retracted_id IS 'Event id of the play that was retracted.';
COMMENT ON COLUMN retractions.counted_at IS 'When the first retraction of it was folded.';

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
    -- a stream that was made again, or restored, has the same sequences again
    PRIMARY KEY (stream, stream_seq, stored_at)
);
COMMENT ON TABLE dead_letters IS 'Messages that could not be read, kept for a person; capped per reason and hour, see dead_letter_totals.';
COMMENT ON COLUMN dead_letters.stream IS 'Stream the message lies in.';
COMMENT ON COLUMN dead_letters.stream_seq IS 'Its stream sequence there.';
COMMENT ON COLUMN dead_letters.subject IS 'Subject it was published on.';
COMMENT ON COLUMN dead_letters.reason IS 'Closed set of reasons; the label of the metric.';
COMMENT ON COLUMN dead_letters.detail IS 'Names the field and what was expected.';
COMMENT ON COLUMN dead_letters.payload IS 'First 4 KiB of the message as it came.';
COMMENT ON COLUMN dead_letters.size_bytes IS 'Size of the whole message.';
COMMENT ON COLUMN dead_letters.stored_at IS 'When the stream stored it.';
COMMENT ON COLUMN dead_letters.kept_at IS 'When fold met it.';

CREATE TABLE dead_letter_totals (
    stream text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    hour   timestamptz NOT NULL,
    total  bigint NOT NULL,
    PRIMARY KEY (stream, reason, hour)
);
COMMENT ON TABLE dead_letter_totals IS 'How many messages could not be read, by reason and hour; also those past the cap on dead_letters.';
COMMENT ON COLUMN dead_letter_totals.stream IS 'Stream the messages lie in.';
COMMENT ON COLUMN dead_letter_totals.reason IS 'Closed set of reasons.';
COMMENT ON COLUMN dead_letter_totals.hour IS 'Start of the hour in which fold met them.';
COMMENT ON COLUMN dead_letter_totals.total IS 'How many there were.';

CREATE TABLE users (
    user_id       text COLLATE "C" PRIMARY KEY,
    profile       jsonb,
    fetched_at    timestamptz,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    gone_at       timestamptz
) WITH (fillfactor = 85);
COMMENT ON TABLE users IS 'The local copy of users the tenant told us of.';
COMMENT ON COLUMN users.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN users.profile IS 'The profile as last read from Auth0; null until one was.';
COMMENT ON COLUMN users.fetched_at IS 'When that profile was read.';
COMMENT ON COLUMN users.first_seen_at IS 'When a record or event first named the user.';
COMMENT ON COLUMN users.last_login_at IS 'Newest login by the record''s own date.';
COMMENT ON COLUMN users.gone_at IS 'When Auth0 said that the user is no more; null while it knows the id.';

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
COMMENT ON TABLE nominations IS 'Users somebody should look at; one row a user however many events woke it.';
COMMENT ON COLUMN nominations.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN nominations.urgency IS '0 a role may have to go, 1 a role may be due, 2 a new user, 3 verification.';
COMMENT ON COLUMN nominations.generation IS 'Raised by each nomination; a look that finds it moved leaves the user due.';
COMMENT ON COLUMN nominations.observe IS 'The profile must be read even if our own records say the user is in step.';
COMMENT ON COLUMN nominations.cause_event IS 'Event id that carried the user over the line; null when something else woke it.';
COMMENT ON COLUMN nominations.cause_plays IS 'Plays of the playlist right after that event.';
COMMENT ON COLUMN nominations.cause_stored_at IS 'When the stream stored that event.';
COMMENT ON COLUMN nominations.nominated_at IS 'First nomination since the user was last in step.';
COMMENT ON COLUMN nominations.due_at IS 'Not looked at before.';
COMMENT ON COLUMN nominations.lease IS 'The look that has the user in hand.';
COMMENT ON COLUMN nominations.lease_until IS 'When that look is taken for dead.';
COMMENT ON COLUMN nominations.attempts IS 'Failed looks in a row; rate limits do not count.';
COMMENT ON COLUMN nominations.last_error IS 'What the last failed look said.';
COMMENT ON COLUMN nominations.parked_at IS 'Since when a person must act; null when not parked.';
COMMENT ON COLUMN nominations.held IS 'Why a revoke waits for a person; null when it does not.';

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
COMMENT ON TABLE assignments IS 'What was decided and seen of each owned role and user; no row means below the line and never looked at.';
COMMENT ON COLUMN assignments.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN assignments.role IS 'An entry of app_metadata.roles that a rule names.';
COMMENT ON COLUMN assignments.wanted IS 'What the rules last said; between the lines it stays.';
COMMENT ON COLUMN assignments.held IS 'Whether the profile had the role when last read or written.';
COMMENT ON COLUMN assignments.adopted IS 'The role is ours to take away: granted by us, found while earned, or taken over on purpose.';
COMMENT ON COLUMN assignments.since IS 'When held last changed, as far as we saw.';
COMMENT ON COLUMN assignments.verified_at IS 'When the profile was last read; null asks for a look.';

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
COMMENT ON TABLE role_changes IS 'The audit: each change of a role, decided before it is attempted and completed after; rows are never removed.';
COMMENT ON COLUMN role_changes.change_id IS 'UUIDv7, in order of decision.';
COMMENT ON COLUMN role_changes.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN role_changes.role IS 'The role.';
COMMENT ON COLUMN role_changes.change IS 'Granted or revoked.';
COMMENT ON COLUMN role_changes.plays IS 'Plays that the rule measures, when it was decided.';
COMMENT ON COLUMN role_changes.rule IS 'The rule that decided.';
COMMENT ON COLUMN role_changes.event_id IS 'The latest event that carried the user over a line of any rule, where one did.';
COMMENT ON COLUMN role_changes.event_stored_at IS 'When the stream stored that event.';
COMMENT ON COLUMN role_changes.decided_at IS 'When it was decided, before any call.';
COMMENT ON COLUMN role_changes.attempted_at IS 'When the last write of it was sent; null while none was.';
COMMENT ON COLUMN role_changes.completed_at IS 'When it was known to be done; null for what was never done.';
COMMENT ON COLUMN role_changes.outcome IS 'written: our write was answered; confirmed: seen at a later look; superseded: no longer wanted and not seen; gone: the user is no more; shadow: decided with writes off. Null while open.';
COMMENT ON COLUMN role_changes.queued_ms IS 'How long the user was due before the look began, milliseconds: other users'' turns and the tenant''s rate limit.';
