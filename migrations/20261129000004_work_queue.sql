-- The work queue and its attempts.

CREATE TABLE work_queue (
    user_id         text COLLATE "C" PRIMARY KEY,
    priority        smallint NOT NULL CHECK (priority BETWEEN 0 AND 4),
    generation      bigint NOT NULL DEFAULT 1,
    force_fetch     boolean NOT NULL DEFAULT false,
    cause_event     text,
    cause_plays     bigint,
    cause_stored_at timestamptz,
    cause_seq       bigint,
    enqueued_at     timestamptz NOT NULL DEFAULT now(),
    due_at          timestamptz NOT NULL DEFAULT now(),
    lease           uuid,
    lease_until     timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    last_error      text,
    parked_at       timestamptz,
    held_by         text CHECK (held_by ~ '^(stream_loss|import|brake_[a-z]+)$'),
    pass_revokes    boolean NOT NULL DEFAULT false,
    pass_grants     boolean NOT NULL DEFAULT false,
    debounce_until  timestamptz,
    failure         text,
    failed_at       timestamptz,
    pass_gone       boolean NOT NULL DEFAULT false,
    held_until      timestamptz,
    last_held_by    text,
    reread_since    timestamptz,
    cause_trace     text
) WITH (fillfactor = 70);
-- The due users, by priority; those delayed after a failure; those with an end to their hold; those parked for the longest time.
CREATE INDEX work_queue_due ON work_queue (priority, due_at) WHERE parked_at IS NULL AND held_by IS NULL;
CREATE INDEX work_queue_retried ON work_queue (priority) WHERE attempts > 0 AND parked_at IS NULL AND held_by IS NULL;
CREATE INDEX work_queue_held_by ON work_queue (held_by, user_id) WHERE held_by IS NOT NULL;
CREATE INDEX work_queue_failure ON work_queue (failure) WHERE failure IS NOT NULL;
CREATE INDEX work_queue_parked ON work_queue (parked_at) WHERE parked_at IS NOT NULL;
CREATE INDEX work_queue_held_until ON work_queue (held_until) WHERE held_until IS NOT NULL;
CREATE INDEX work_queue_last_held_by ON work_queue (last_held_by, user_id) WHERE last_held_by IS NOT NULL;
COMMENT ON TABLE work_queue IS 'The work queue: users who wait for an attempt; one row per user, regardless of the number of events.';
COMMENT ON COLUMN work_queue.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN work_queue.priority IS '0 a role may have to be revoked, 1 a role may be due, 2 a requested display name, 3 a record of the tenant''s log alone, 4 verification. Users of 3 get a quarter of the rate at most.';
COMMENT ON COLUMN work_queue.generation IS 'Raised by each enqueue; an attempt that finds it raised leaves the user due.';
COMMENT ON COLUMN work_queue.force_fetch IS 'The profile must be read even if the user is up to date by our own records.';
COMMENT ON COLUMN work_queue.cause_event IS 'Id of the event that moved the user across the threshold; null for any other cause.';
COMMENT ON COLUMN work_queue.cause_plays IS 'Plays of the playlist right after that event.';
COMMENT ON COLUMN work_queue.cause_stored_at IS 'Store time of that event in the stream.';
COMMENT ON COLUMN work_queue.cause_seq IS 'Sequence of that event in APP_EVENTS.';
COMMENT ON COLUMN work_queue.cause_trace IS 'W3C context of the span in which that event was folded: traceparent, and tracestate behind a blank. Written by the fold; null unless the event came with a sampled trace and the worker exports traces.';
COMMENT ON COLUMN work_queue.enqueued_at IS 'First enqueue since the user was last up to date.';
COMMENT ON COLUMN work_queue.due_at IS 'No attempt starts before this time.';
COMMENT ON COLUMN work_queue.lease IS 'The attempt in flight for the user.';
COMMENT ON COLUMN work_queue.lease_until IS 'End of the lease: after it another attempt may take the user.';
COMMENT ON COLUMN work_queue.attempts IS 'Failed attempts in a row; rate limits do not count.';
COMMENT ON COLUMN work_queue.last_error IS 'Error of the last failed attempt.';
COMMENT ON COLUMN work_queue.parked_at IS 'Time since which the user waits for the operator; null when not parked.';
COMMENT ON COLUMN work_queue.held_by IS 'Reason that holds changes of the user until the operator acts: the loss of a stream, an import, or a brake. Null when nothing is held.';
COMMENT ON COLUMN work_queue.pass_revokes IS 'The operator has released the user: the next revokes pass the brake.';
COMMENT ON COLUMN work_queue.pass_grants IS 'The same for grants.';
COMMENT ON COLUMN work_queue.debounce_until IS 'Debounce: no attempt before this time, for any enqueue, since the count oscillates around a threshold. Null for a steady count.';
COMMENT ON COLUMN work_queue.failure IS 'Class of the last failed attempt, shared by all that failed for the same reason, such as "403" or "bad_answer"; "stopped" while the whole stage waits. Written by reconcile; null after a finished attempt.';
COMMENT ON COLUMN work_queue.failed_at IS 'Time at which that attempt failed, by Postgres'' clock.';
COMMENT ON COLUMN work_queue.pass_gone IS 'The operator has released the user: the next attempt passes the brake on users who are gone.';
COMMENT ON COLUMN work_queue.held_until IS 'Time at which a held user is decided again without the operator: the end of a period of another rule. Null when there is none, or the user is not held. Written by reconcile.';
COMMENT ON COLUMN work_queue.last_held_by IS 'The last value of held_by since the user was last up to date. Unlike held_by it survives an enqueue: `brake release` and `brake drop` act on these users too. Null when the user was not held.';
COMMENT ON COLUMN work_queue.reread_since IS 'Time at which an attempt first had to give up the profile it read, because a record of the tenant''s log arrived meanwhile; null after a decision. 10 s later an attempt decides in any case.';
