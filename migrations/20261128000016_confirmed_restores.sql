-- A record of the tenant's log is a hint: roles of other clients are restored only when Auth0 itself confirms the record, and
-- a write of ours that was refused, or seen not to be applied, is closed. A worker of the version before knows none of the
-- columns; it works as before while both run.
SET LOCAL lock_timeout = '5s';

ALTER TABLE profile_writes
    ADD COLUMN read_date timestamptz,
    ADD COLUMN closed text CHECK (closed IN ('refused', 'not_seen'));
COMMENT ON COLUMN profile_writes.read_date IS 'The Date header of the response to the GET, by Auth0''s clock, whole seconds; null if it had none. Our read includes another client''s write before this time.';
COMMENT ON COLUMN profile_writes.closed IS 'Reason why no later attempt can complete it: refused: Auth0 returned an error before it applied anything; not_seen: the first attempt after its settle delay did not see it. Null otherwise.';
COMMENT ON COLUMN profile_writes.followed_up_at IS 'Time at which the tenant''s log reported it, it was closed, or the sweep enqueued the user because neither had happened.';
COMMENT ON COLUMN profile_writes.recorded IS 'Its effect on the managed roles is recorded in assignments. False from just before it is sent; a worker that lost its lease leaves it false, and the next attempt resolves it.';
-- By Postgres' clock, not by ids, which contain the clock of the worker that created them.
CREATE INDEX profile_writes_user_time ON profile_writes (user_id, attempted_at);
DROP INDEX profile_writes_user;

ALTER TABLE foreign_writes
    ADD COLUMN log_id text,
    ADD COLUMN client_id text,
    ADD COLUMN dated_at timestamptz,
    ADD COLUMN asked_at timestamptz,
    ADD COLUMN ask_at timestamptz,
    ADD COLUMN asks integer NOT NULL DEFAULT 0,
    ADD COLUMN verdict text CHECK (verdict IN ('confirmed', 'unknown', 'differs', 'no_scope'));
CREATE INDEX foreign_writes_to_ask ON foreign_writes (ask_at) WHERE ask_at IS NOT NULL;
COMMENT ON COLUMN foreign_writes.log_id IS 'log_id of the request to Auth0 for the record; null if Auth0 cannot confirm it: no log_id, an event of Event Streams, or a write under our own client id.';
COMMENT ON COLUMN foreign_writes.client_id IS 'The client that wrote, from the record; null if the record names none.';
COMMENT ON COLUMN foreign_writes.dated_at IS 'The record''s own date, by Auth0''s clock; null if it has none.';
COMMENT ON COLUMN foreign_writes.asked_at IS 'Time at which an attempt first needed the record to be confirmed; null before.';
COMMENT ON COLUMN foreign_writes.ask_at IS 'Time of the next request to Auth0; null when none is due.';
COMMENT ON COLUMN foreign_writes.asks IS 'Number of requests to Auth0.';
COMMENT ON COLUMN foreign_writes.verdict IS 'confirmed: Auth0 returned the same record; unknown: it did not know the log_id for ten minutes; differs: it returned another record; no_scope: our client cannot read the log. Null before the verdict.';

ALTER TABLE races
    DROP CONSTRAINT races_outcome_check,
    ADD CONSTRAINT races_outcome_check
        CHECK (outcome IN ('merged', 'nothing_lost', 'unresolved', 'unconfirmed', 'dropped')) NOT VALID,
    ADD COLUMN held boolean NOT NULL DEFAULT false,
    ADD COLUMN released boolean NOT NULL DEFAULT false;
DROP INDEX races_user;
CREATE INDEX races_user ON races (user_id, found_at);
CREATE INDEX races_held ON races (user_id) WHERE held AND outcome IS NULL;
COMMENT ON COLUMN races.race_id IS 'UUIDv7; the order of discovery is that of found_at.';
COMMENT ON COLUMN races.outcome IS 'merged: their change was restored; nothing_lost: it stands; unresolved: no record explains the profile, or only a forbidden role is missing, left to the operator; unconfirmed: Auth0 did not confirm the record, nothing was written; dropped: the operator dropped it from the brake. Null while open.';
COMMENT ON COLUMN races.held IS 'The brake on restores holds it until the operator acts.';
COMMENT ON COLUMN races.released IS 'The operator has released it from the brake.';

ALTER TABLE brakes
    DROP CONSTRAINT brakes_change_check,
    ADD CONSTRAINT brakes_change_check CHECK (change IN ('granted', 'revoked', 'restored', 'gone'));
INSERT INTO brakes (change) VALUES ('restored');
COMMENT ON TABLE brakes IS 'Stops a mass of changes until the operator acts; one row per kind. Each decision of a change locks its row, so that concurrent decisions cannot pass it.';
COMMENT ON COLUMN brakes.change IS 'Kind of the changes that it brakes; restored: roles of other clients that are restored or removed again.';

ALTER TABLE role_changes
    DROP CONSTRAINT role_changes_change_check,
    ADD CONSTRAINT role_changes_change_check CHECK (change IN ('granted', 'revoked', 'restored', 'removed')) NOT VALID,
    ADD COLUMN write_id uuid,
    ADD COLUMN client_id text,
    ADD COLUMN log_id text;
COMMENT ON COLUMN role_changes.change_id IS 'UUIDv7; the order of decision is that of decided_at.';
COMMENT ON COLUMN role_changes.change IS 'granted, revoked: a managed role; restored, removed: a role of another client, restored or removed again because our write overwrote that client''s change.';
COMMENT ON COLUMN role_changes.plays IS 'Plays measured by the rule at the decision; 0 for a restore.';
COMMENT ON COLUMN role_changes.rule IS 'The rule that decided; JSON null for a restore.';
COMMENT ON COLUMN role_changes.write_id IS 'Our write that made the change, in profile_writes while that row is kept; null if it is not known.';
COMMENT ON COLUMN role_changes.client_id IS 'Of a restore: the client whose change is restored.';
COMMENT ON COLUMN role_changes.log_id IS 'Of a restore: the confirmed record of that change in the tenant''s log.';
