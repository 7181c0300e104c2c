-- The audit: changes of roles, acts of operators, and what was announced.

CREATE TABLE role_changes (
    change_id       uuid PRIMARY KEY,
    user_id         text COLLATE "C" NOT NULL,
    role            text COLLATE "C" NOT NULL,
    change          text NOT NULL CHECK (change IN ('granted', 'revoked', 'restored', 'removed', 'given', 'taken')),
    plays           bigint NOT NULL,
    rule            jsonb NOT NULL,
    event_id        text,
    event_stored_at timestamptz,
    event_seq       bigint,
    decided_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempted_at    timestamptz,
    completed_at    timestamptz,
    outcome         text CHECK (outcome IN ('written', 'confirmed', 'superseded', 'gone', 'shadow', 'reverted', 'left')),
    queued_ms       bigint NOT NULL,
    announced_at    timestamptz,
    released        boolean NOT NULL DEFAULT false,
    write_id        uuid,
    client_id       text,
    log_id          text,
    reason          text CHECK (reason IN ('user_deleted', 'user_returned', 'linked', 'pinned')),
    chain_position  bigint,
    chain_previous  bytea CHECK (octet_length(chain_previous) = 32),
    chain_hash      bytea CHECK (octet_length(chain_hash) = 32),
    user_hash       bytea CHECK (octet_length(user_hash) = 32),
    user_salt       bytea CHECK (octet_length(user_salt) = 16),
    CHECK (num_nulls(chain_position, chain_previous, chain_hash, user_hash) IN (0, 4)),
    -- The years 1 to 9999: a program cannot read other times.
    CONSTRAINT role_changes_calendar CHECK (least(event_stored_at, decided_at, attempted_at, completed_at) >= '0001-01-01 00:00Z'
        AND greatest(event_stored_at, decided_at, attempted_at, completed_at) < '10000-01-01 00:00Z')
) WITH (fillfactor = 85);
CREATE INDEX role_changes_user ON role_changes (user_id, change_id);
CREATE INDEX role_changes_open ON role_changes (user_id) WHERE outcome IS NULL;
-- The changes to announce, in order: only those, so the index stays small while the audit grows.
CREATE INDEX role_changes_unannounced ON role_changes (completed_at, change_id)
    WHERE completed_at IS NOT NULL AND announced_at IS NULL AND change IN ('granted', 'revoked');
-- The same for the changes that have no place in the chain yet; then the chain in its order, and by time.
CREATE INDEX role_changes_unchained ON role_changes (completed_at, change_id)
    WHERE completed_at IS NOT NULL AND chain_position IS NULL;
CREATE UNIQUE INDEX role_changes_chain ON role_changes (chain_position) WHERE chain_position IS NOT NULL;
CREATE INDEX role_changes_chain_time ON role_changes (completed_at, chain_position) WHERE chain_position IS NOT NULL;
-- The decisions of the last hour or so, which the brake counts.
CREATE INDEX role_changes_decided ON role_changes (change, decided_at);
COMMENT ON TABLE role_changes IS 'The audit: each change of a role, decided before the attempt and completed after it, and each change of a managed role that another client made. Rows are never removed; a trigger lets each column be filled once, in the order attempted, completed, announced. Completed rows form a chain of hashes, see `rolekeeper evidence`; with a restored older copy it continues from an earlier place.';
COMMENT ON COLUMN role_changes.change_id IS 'UUIDv7; the order of decision is that of decided_at.';
COMMENT ON COLUMN role_changes.user_id IS 'Auth0 user id; erased: and the hash in hex once the user was erased.';
COMMENT ON COLUMN role_changes.role IS 'The role.';
COMMENT ON COLUMN role_changes.change IS 'granted, revoked: a managed role, by rolekeeper; restored, removed: a role of another client, restored or removed again because our write overwrote that client''s change, or put the role of a deleted account on the account made again; given, taken: a managed role, by another client, as an attempt saw it.';
COMMENT ON COLUMN role_changes.plays IS 'Plays measured by the rule at the decision; 0 for a restore.';
COMMENT ON COLUMN role_changes.rule IS 'The rule that decided; JSON null for a restore.';
COMMENT ON COLUMN role_changes.event_id IS 'The latest event that moved the user across a threshold of any rule, if one did.';
COMMENT ON COLUMN role_changes.event_stored_at IS 'Store time of that event in the stream.';
COMMENT ON COLUMN role_changes.event_seq IS 'Sequence of that event in APP_EVENTS.';
COMMENT ON COLUMN role_changes.decided_at IS 'Time of the decision, before any call; of given and taken: the time at which it was seen.';
COMMENT ON COLUMN role_changes.attempted_at IS 'Time at which its last write was sent; null before the first.';
COMMENT ON COLUMN role_changes.completed_at IS 'Time at which it was known to be done; null if it was never done.';
COMMENT ON COLUMN role_changes.outcome IS 'written: Auth0 responded to our write; confirmed: a later attempt saw it; superseded: no longer wanted and not seen, or another client made the change, confirmed nevertheless if its write turns out to be done later; gone: Auth0 no longer knows the user; shadow: decided with writes off. Of given and taken: reverted: the attempt that saw it changed the role back; left: it did not. Null while open.';
COMMENT ON COLUMN role_changes.queued_ms IS 'Time for which the user was due before the attempt, milliseconds: waiting for other users and for the tenant''s rate limit.';
COMMENT ON COLUMN role_changes.announced_at IS 'Time at which the stream ROLE_CHANGES was known to hold it; null before the announcement, and always for a change that was not completed.';
COMMENT ON COLUMN role_changes.released IS 'The operator let it pass the brake; it does not count towards the next one.';
COMMENT ON COLUMN role_changes.write_id IS 'Our write that made the change, in profile_writes while that row is kept; null if it is not known.';
COMMENT ON COLUMN role_changes.client_id IS 'Of a restore: the client whose change is restored. Of given and taken: the client that the newest matching record names, which is a hint; null without a record.';
COMMENT ON COLUMN role_changes.log_id IS 'Of a restore: the confirmed record of that change in the tenant''s log. Of given and taken: the record that client_id comes from.';
COMMENT ON COLUMN role_changes.reason IS 'Reason of a change that no rule decided. user_deleted: the user was deleted at Auth0; user_returned: the user is known there again and still holds the role; linked: the id was linked to another account (revoked), or the account holds the role that a linked id had (granted); pinned: a pin stands. Null for a decision of a rule.';
COMMENT ON COLUMN role_changes.chain_position IS 'Its number in the chain of completed changes, from 1 on and without gaps, by the worker that reconciles; null before, and always for a change that was not completed.';
COMMENT ON COLUMN role_changes.chain_previous IS 'chain_hash of the position before; 32 zero bytes at position 1.';
COMMENT ON COLUMN role_changes.chain_hash IS 'SHA-256 of the text `position previous digest`, where digest is the SHA-256 of the row as JSON; docs/operating.md has its members.';
COMMENT ON COLUMN role_changes.user_hash IS 'SHA-256 of the text `salt user_id`, in place of the id in the row that is hashed. It stays when the user is erased.';
COMMENT ON COLUMN role_changes.user_salt IS '16 random bytes; removed when the user is erased, so that user_hash can no longer be compared with an id.';

CREATE TABLE operator_acts (
    act_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    acted_at  timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (acted_at >= '0001-01-01 00:00Z' AND acted_at < '10000-01-01 00:00Z'),
    acted_by  text NOT NULL,
    db_user   text NOT NULL DEFAULT session_user,
    command   text NOT NULL,
    arguments jsonb NOT NULL,
    why       text,
    outcome   text NOT NULL
);
CREATE INDEX operator_acts_resumed ON operator_acts (acted_at) WHERE command = 'resume';
-- The acts that evidence of a role change names.
CREATE INDEX operator_acts_releases ON operator_acts (acted_at) WHERE command = 'brake release';
CREATE INDEX operator_acts_pins ON operator_acts ((arguments->>'user'), acted_at) WHERE command = 'pin';
-- The acts that an erasure searches for the ids of the user: not those of ERASE_AFTER_DELETION_D, which may be many and name no id.
CREATE INDEX operator_acts_searched ON operator_acts (act_id) WHERE command <> 'erase deleted';
COMMENT ON TABLE operator_acts IS 'Actions of operators: one row per action, written by the command in the transaction of the action; some a day, and with ERASE_AFTER_DELETION_D one for up to 20 erased users. Never removed, and never changed except for the pseudonym of an erased user. A restored older copy lacks the later actions.';
COMMENT ON COLUMN operator_acts.act_id IS 'Order of the rows.';
COMMENT ON COLUMN operator_acts.acted_at IS 'Time of the action, by Postgres'' clock.';
COMMENT ON COLUMN operator_acts.acted_by IS 'The operator, from --as, or the system''s user and host. A worker that activated its RULES_FILE, or stopped the writes, has its host and process here.';
COMMENT ON COLUMN operator_acts.db_user IS 'The role of the Postgres session.';
COMMENT ON COLUMN operator_acts.command IS 'The command, such as `brake release`; erase deleted: an erasure by ERASE_AFTER_DELETION_D.';
COMMENT ON COLUMN operator_acts.arguments IS 'Its arguments, without secrets; an erased user by the pseudonym.';
COMMENT ON COLUMN operator_acts.why IS 'The reason, from --why; null if the operator gave none.';
COMMENT ON COLUMN operator_acts.outcome IS 'Its result.';

-- Rows of the audit are appended, and each column is filled once.
CREATE FUNCTION guard_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% refused: table % is the audit, and no row of it is removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
COMMENT ON FUNCTION guard_audit IS 'Trigger: refuses to remove rows.';
CREATE TRIGGER role_changes_stay BEFORE DELETE OR TRUNCATE ON role_changes FOR EACH STATEMENT EXECUTE FUNCTION guard_audit();
CREATE TRIGGER operator_acts_stay BEFORE DELETE OR TRUNCATE ON operator_acts FOR EACH STATEMENT EXECUTE FUNCTION guard_audit();

-- Columns of later versions are covered: a column that is not named here cannot change.
CREATE FUNCTION guard_role_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    filled text[] := ARRAY['user_id', 'attempted_at', 'completed_at', 'outcome', 'write_id', 'announced_at',
        'chain_position', 'chain_previous', 'chain_hash', 'user_hash', 'user_salt'];
    what text;
BEGIN
    what := CASE
        WHEN to_jsonb(NEW) - filled <> to_jsonb(OLD) - filled
            THEN 'what was decided is never changed'
        WHEN NEW.user_id <> OLD.user_id AND (OLD.user_id LIKE 'erased:%' OR NEW.user_id !~ '^erased:[0-9a-f]{64}$')
            THEN 'user_id takes the pseudonym of an erased person, and nothing else'
        WHEN NEW.attempted_at IS DISTINCT FROM OLD.attempted_at AND (OLD.outcome IS NOT NULL OR NEW.attempted_at IS NULL)
            THEN 'attempted_at is set while the change is open'
        -- A change that was given up and then done nevertheless is completed; nothing else is opened again.
        WHEN (NEW.outcome, NEW.completed_at, NEW.write_id) IS DISTINCT FROM (OLD.outcome, OLD.completed_at, OLD.write_id)
            AND NEW.outcome IS NOT DISTINCT FROM OLD.outcome
            THEN 'completed_at and write_id are set together with the outcome'
        WHEN NEW.outcome IS DISTINCT FROM OLD.outcome AND OLD.outcome IS NOT NULL
            AND NOT (OLD.outcome = 'superseded' AND NEW.outcome IS NOT DISTINCT FROM 'confirmed')
            THEN 'the outcome is set once'
        WHEN NEW.completed_at IS NULL AND OLD.completed_at IS NOT NULL
            THEN 'what is completed stays so'
        WHEN NEW.announced_at IS DISTINCT FROM OLD.announced_at AND (OLD.announced_at IS NOT NULL OR NEW.completed_at IS NULL)
            THEN 'announced_at is set once, when the change is completed; `rolekeeper announce --from` sends changes again'
        WHEN (NEW.chain_position, NEW.chain_previous, NEW.chain_hash, NEW.user_hash)
                IS DISTINCT FROM (OLD.chain_position, OLD.chain_previous, OLD.chain_hash, OLD.user_hash)
            AND (OLD.chain_position IS NOT NULL OR NEW.completed_at IS NULL)
            THEN 'its place in the chain is set once, when the change is completed'
        WHEN NEW.user_salt IS DISTINCT FROM OLD.user_salt
            AND NOT CASE WHEN NEW.user_salt IS NULL THEN NEW.user_id LIKE 'erased:%'
                ELSE OLD.chain_position IS NULL AND NEW.chain_position IS NOT NULL AND NEW.user_id NOT LIKE 'erased:%' END
            THEN 'user_salt is set with the place in the chain, and removed when the user is erased'
    END;
    IF what IS NOT NULL THEN
        RAISE EXCEPTION 'UPDATE of role_changes % refused: %', OLD.change_id, what USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION guard_role_change IS 'Trigger: permits that each column is filled once and in order, and that the pseudonym replaces an erased user.';
CREATE TRIGGER role_changes_fill BEFORE UPDATE ON role_changes FOR EACH ROW EXECUTE FUNCTION guard_role_change();

CREATE FUNCTION guard_operator_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - ARRAY['arguments', 'why', 'acted_by', 'outcome'] <> to_jsonb(OLD) - ARRAY['arguments', 'why', 'acted_by', 'outcome']
        OR (NEW.arguments <> OLD.arguments AND NEW.arguments::text !~ 'erased:[0-9a-f]{64}')
        OR (NEW.why IS DISTINCT FROM OLD.why AND coalesce(NEW.why, '') !~ 'erased:[0-9a-f]{64}')
        OR (NEW.acted_by <> OLD.acted_by AND NEW.acted_by !~ 'erased:[0-9a-f]{64}')
        OR (NEW.outcome <> OLD.outcome AND NEW.outcome !~ 'erased:[0-9a-f]{64}') THEN
        RAISE EXCEPTION 'UPDATE of operator_acts % refused: an act is never changed', OLD.act_id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION guard_operator_act IS 'Trigger: permits that the pseudonym replaces an erased user, and nothing else.';
CREATE TRIGGER operator_acts_fixed BEFORE UPDATE ON operator_acts FOR EACH ROW EXECUTE FUNCTION guard_operator_act();

-- The longest spelling wins, so the whole id with its provider. Only the whole id matches, not a part of another one.
CREATE FUNCTION person_pattern(spellings text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '(?<![[:alnum:]])(' || string_agg(regexp_replace(s, '([^[:alnum:]])', '\\\1', 'g'), '|' ORDER BY length(s) DESC, s)
        || ')(?![[:alnum:]_@|%-]|\.[[:alnum:]])'
    FROM UNNEST(spellings) AS s
$$;
COMMENT ON FUNCTION person_pattern IS 'Regular expression that finds a user in the words of an operator, by the spellings of the id.';
CREATE FUNCTION without_person(said text, pseudonym text, spellings text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(said, person_pattern(spellings), pseudonym, 'g')
$$;
COMMENT ON FUNCTION without_person IS 'The words of an operator, with the pseudonym in place of an erased user.';

CREATE FUNCTION erase_from_audit(person text, pseudonym text, spellings text[], acts bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    changes bigint;
    named bigint;
    pattern text := person_pattern(spellings);
BEGIN
    IF NOT EXISTS (SELECT FROM erasures WHERE user_hash = CASE WHEN pseudonym ~ '^erased:[0-9a-f]{64}$' THEN decode(substr(pseudonym, 8), 'hex') END) THEN
        RAISE EXCEPTION '% is the pseudonym of no erased person', pseudonym USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE role_changes SET user_id = pseudonym, outcome = coalesce(outcome, 'gone'), user_salt = NULL WHERE user_id = person;
    GET DIAGNOSTICS changes = ROW_COUNT;
    UPDATE operator_acts SET arguments = replace(arguments::text, to_jsonb(person)::text, to_jsonb(pseudonym)::text)::jsonb
    WHERE act_id = ANY(acts) AND position(to_jsonb(person)::text IN arguments::text) > 0;
    GET DIAGNOSTICS named = ROW_COUNT;
    UPDATE operator_acts SET why = regexp_replace(why, pattern, pseudonym, 'g'), acted_by = regexp_replace(acted_by, pattern, pseudonym, 'g'),
        outcome = regexp_replace(outcome, pattern, pseudonym, 'g')
    WHERE act_id = ANY(acts) AND concat_ws(' ', why, acted_by, outcome) ~ pattern;
    UPDATE limits SET why = regexp_replace(why, pattern, pseudonym, 'g'), set_by = regexp_replace(set_by, pattern, pseudonym, 'g')
    WHERE concat_ws(' ', why, set_by) ~ pattern;
    RETURN changes + named;
END $$;
COMMENT ON FUNCTION erase_from_audit IS 'Replaces an erased user by the pseudonym in role_changes, in these rows of operator_acts, and in limits; returns the number of rows that name the user. Runs as the migrating role, since the running role may not change these columns.';

-- For any name of the schema; and no other role can place a table of its own before it.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION erase_from_audit(text, text, text[], bigint[]) SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION erase_from_audit(text, text, text[], bigint[]) FROM PUBLIC;
END $$;

CREATE TABLE role_change_chain (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL DEFAULT 0,
    hash     bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(hash) = 32)
);
INSERT INTO role_change_chain DEFAULT VALUES;
COMMENT ON TABLE role_change_chain IS 'End of the chain of completed role changes; one row. Locked and moved by the worker that adds changes to it, in their transaction. A restored older copy has the end of its own rows.';
COMMENT ON COLUMN role_change_chain.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN role_change_chain.position IS 'chain_position of the last change; 0 before the first.';
COMMENT ON COLUMN role_change_chain.hash IS 'chain_hash of the last change; 32 zero bytes before the first.';

CREATE TABLE announced_end (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    created_ns bigint NOT NULL,
    seq        bigint NOT NULL,
    change_id  uuid NOT NULL,
    lost_at    timestamptz,
    lost       text
);
COMMENT ON TABLE announced_end IS 'End of the stream ROLE_CHANGES when the last change was marked as announced; one row. Written by the worker that announces, with the mark. A restored older copy names an earlier end, which the stream still holds.';
COMMENT ON COLUMN announced_end.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN announced_end.created_ns IS 'Creation time of the stream, Unix nanoseconds.';
COMMENT ON COLUMN announced_end.seq IS 'Sequence of the change in the stream.';
COMMENT ON COLUMN announced_end.change_id IS 'The change; also the message id.';
COMMENT ON COLUMN announced_end.lost_at IS 'Time at which the stream was found to lack announced changes; null when it lacks none, or `rolekeeper announce` sent them again.';
COMMENT ON COLUMN announced_end.lost IS 'The expected and the found state.';

CREATE TABLE announce_again (
    change_id uuid PRIMARY KEY
);
COMMENT ON TABLE announce_again IS 'Announced changes to send again. `rolekeeper announce` fills it, the worker that announces empties it. With a restored older copy some are sent another time.';
COMMENT ON COLUMN announce_again.change_id IS 'The row of role_changes.';

-- A database that was restored from a backup: the stream knows changes that the audit lacks.
CREATE TABLE forgotten_changes (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    created_ns bigint NOT NULL,
    read_to    bigint NOT NULL,
    until      bigint NOT NULL,
    unknown    bigint NOT NULL DEFAULT 0,
    holds      boolean NOT NULL DEFAULT false,
    noticed_at timestamptz
);
COMMENT ON TABLE forgotten_changes IS 'Changes in the stream ROLE_CHANGES that the audit does not know: this database was restored from a backup, or is another one. One row, none before the first case. Written by the worker that announces, and by `rolekeeper resume`; never removed. With a restored older copy the worker reads the stream again from an earlier place, which is harmless.';
COMMENT ON COLUMN forgotten_changes.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN forgotten_changes.created_ns IS 'Creation time of that stream, Unix nanoseconds.';
COMMENT ON COLUMN forgotten_changes.read_to IS 'Last sequence of the stream that was compared with the audit.';
COMMENT ON COLUMN forgotten_changes.until IS 'End of the stream when the comparison began, or was extended.';
COMMENT ON COLUMN forgotten_changes.unknown IS 'Changes that the audit does not know, since `rolekeeper resume`.';
COMMENT ON COLUMN forgotten_changes.holds IS 'No role is revoked until `rolekeeper resume`: the database is empty, or much smaller than the stream.';
COMMENT ON COLUMN forgotten_changes.noticed_at IS 'Time at which the first of them was found; null when there is none, or after `rolekeeper resume`.';

CREATE TABLE forgotten_holders (
    user_id text NOT NULL,
    role    text NOT NULL,
    granted boolean NOT NULL,
    seq     bigint NOT NULL,
    PRIMARY KEY (user_id, role)
);
COMMENT ON TABLE forgotten_holders IS 'Users whose roles changed by ROLE_CHANGES but not by the audit. Written by the worker that announces, which removes each row once the user is queued, after the fold has reached the end of APP_EVENTS. At most one row for each user and role that changed since the backup; usually empty. With a restored older copy some are queued again, which is harmless.';
COMMENT ON COLUMN forgotten_holders.user_id IS 'The user.';
COMMENT ON COLUMN forgotten_holders.role IS 'The role.';
COMMENT ON COLUMN forgotten_holders.granted IS 'The last of these messages is a grant: if the user holds the role at Auth0, we may revoke it.';
COMMENT ON COLUMN forgotten_holders.seq IS 'Sequence of that message in ROLE_CHANGES.';
