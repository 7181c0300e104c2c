-- A record of the tenant's log is a hint: roles of other clients are restored only when Auth0 itself confirms the record, and
-- a write of ours that was refused, or seen not to be applied, is closed. A worker of the version before knows none of the
-- columns; what it does while both run is as before.
SET LOCAL lock_timeout = '5s';

ALTER TABLE profile_writes
    ADD COLUMN read_date timestamptz,
    ADD COLUMN closed text CHECK (closed IN ('refused', 'not_seen'));
COMMENT ON COLUMN profile_writes.read_date IS 'The Date header of the GET''s answer, by Auth0''s clock, whole seconds; null if it had none. Another client''s write before it was in what we read.';
COMMENT ON COLUMN profile_writes.closed IS 'Why it can no longer be completed by a later look: refused: Auth0 returned an error before it applied anything; not_seen: the first look after its settle time did not see it. Null otherwise.';
COMMENT ON COLUMN profile_writes.followed_up_at IS 'When the tenant''s log told of it, it was closed, or the sweep asked for a look because neither had happened.';
COMMENT ON COLUMN profile_writes.recorded IS 'What it made of the owned roles stands in assignments. False from just before it is sent; a worker that has lost its lease leaves it so, and the next look reckons with it.';
-- By Postgres' clock, not by ids, which hold the clock of the worker that made them.
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
COMMENT ON COLUMN foreign_writes.log_id IS 'log_id by which Auth0 can be asked for the record; null where it cannot confirm one: no log_id, an event of Event Streams, or a write under our own client id.';
COMMENT ON COLUMN foreign_writes.client_id IS 'The client that wrote, as the record says; null if it does not.';
COMMENT ON COLUMN foreign_writes.dated_at IS 'The record''s own date, by Auth0''s clock; null if it has none.';
COMMENT ON COLUMN foreign_writes.asked_at IS 'When a look first asked for the record to be confirmed; null while none did.';
COMMENT ON COLUMN foreign_writes.ask_at IS 'When Auth0 is asked next; null when it is not to be asked.';
COMMENT ON COLUMN foreign_writes.asks IS 'How often Auth0 was asked.';
COMMENT ON COLUMN foreign_writes.verdict IS 'confirmed: Auth0 returned the same record; unknown: it did not know the log_id for ten minutes; differs: it returned another record; no_scope: our client may not read the log. Null while not judged.';

ALTER TABLE races
    DROP CONSTRAINT races_outcome_check,
    ADD CONSTRAINT races_outcome_check
        CHECK (outcome IN ('merged', 'nothing_lost', 'unresolved', 'unconfirmed', 'dropped')) NOT VALID,
    ADD COLUMN held boolean NOT NULL DEFAULT false,
    ADD COLUMN released boolean NOT NULL DEFAULT false;
DROP INDEX races_user;
CREATE INDEX races_user ON races (user_id, found_at);
CREATE INDEX races_held ON races (user_id) WHERE held AND outcome IS NULL;
COMMENT ON COLUMN races.race_id IS 'UUIDv7; the order found is that of found_at.';
COMMENT ON COLUMN races.outcome IS 'merged: their intention was brought back; nothing_lost: it stands; unresolved: the profile had become what no record tells of, or only a forbidden role is missing, left to the operator; unconfirmed: Auth0 did not confirm the record, nothing was written; dropped: the operator dropped it from the brake. Null while open.';
COMMENT ON COLUMN races.held IS 'The brake on restores holds it until the operator acts.';
COMMENT ON COLUMN races.released IS 'The operator has released it from the brake.';

ALTER TABLE brakes
    DROP CONSTRAINT brakes_change_check,
    ADD CONSTRAINT brakes_change_check CHECK (change IN ('granted', 'revoked', 'restored', 'gone'));
INSERT INTO brakes (change) VALUES ('restored');
COMMENT ON TABLE brakes IS 'Stops a mass of changes until the operator has looked; one row a kind. Whoever decides a change locks its row, so that many at once cannot slip past.';
COMMENT ON COLUMN brakes.change IS 'Which changes it brakes; restored: roles of other clients that come back or go again.';

ALTER TABLE role_changes
    DROP CONSTRAINT role_changes_change_check,
    ADD CONSTRAINT role_changes_change_check CHECK (change IN ('granted', 'revoked', 'restored', 'removed')) NOT VALID,
    ADD COLUMN write_id uuid,
    ADD COLUMN client_id text,
    ADD COLUMN log_id text;
COMMENT ON COLUMN role_changes.change_id IS 'UUIDv7; the order of decision is that of decided_at.';
COMMENT ON COLUMN role_changes.change IS 'granted, revoked: a managed role; restored, removed: a role of another client, brought back or taken out again because a write of ours had overwritten that client''s change.';
COMMENT ON COLUMN role_changes.plays IS 'Plays that the rule measures, when it was decided; 0 for a restore.';
COMMENT ON COLUMN role_changes.rule IS 'The rule that decided; JSON null for a restore.';
COMMENT ON COLUMN role_changes.write_id IS 'Our write that made the change, in profile_writes while that is kept; null where it is not known.';
COMMENT ON COLUMN role_changes.client_id IS 'Of a restore: the client whose change is brought back.';
COMMENT ON COLUMN role_changes.log_id IS 'Of a restore: the confirmed record of that change in the tenant''s log.';
