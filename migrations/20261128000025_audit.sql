-- The audit: actions of operators, changes of managed roles by other clients, and append-only rows. Functions of the migrating
-- role do the writes that the running role may not do itself. Workers of the version before work as before.
SET LOCAL lock_timeout = '5s';

CREATE TABLE operator_acts (
    act_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    acted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    acted_by  text NOT NULL,
    db_user   text NOT NULL DEFAULT session_user,
    command   text NOT NULL,
    arguments jsonb NOT NULL,
    why       text,
    outcome   text NOT NULL
);
CREATE INDEX operator_acts_resumed ON operator_acts (acted_at) WHERE command = 'resume';
COMMENT ON TABLE operator_acts IS 'Actions of operators: one row per action, written by the command in the transaction of the action; some a day. Never removed, and never changed except for the pseudonym of an erased user. A restored older copy lacks the later actions.';
COMMENT ON COLUMN operator_acts.act_id IS 'Order of the rows.';
COMMENT ON COLUMN operator_acts.acted_at IS 'Time of the action, by Postgres'' clock.';
COMMENT ON COLUMN operator_acts.acted_by IS 'The operator, from --as, or the system''s user and host. A worker that activated its RULES_FILE, or stopped the writes, has its host and process here.';
COMMENT ON COLUMN operator_acts.db_user IS 'The role of the Postgres session.';
COMMENT ON COLUMN operator_acts.command IS 'The command, such as `brake release`.';
COMMENT ON COLUMN operator_acts.arguments IS 'Its arguments, without secrets; an erased user by the pseudonym.';
COMMENT ON COLUMN operator_acts.why IS 'The reason, from --why; null if the operator gave none.';
COMMENT ON COLUMN operator_acts.outcome IS 'Its result.';

-- Wider than the old checks, so every existing row satisfies them: NOT VALID avoids the scan.
ALTER TABLE role_changes
    DROP CONSTRAINT role_changes_change_check,
    ADD CONSTRAINT role_changes_change_check
        CHECK (change IN ('granted', 'revoked', 'restored', 'removed', 'given', 'taken')) NOT VALID,
    DROP CONSTRAINT role_changes_outcome_check,
    ADD CONSTRAINT role_changes_outcome_check
        CHECK (outcome IN ('written', 'confirmed', 'superseded', 'gone', 'shadow', 'answered', 'left')) NOT VALID;
COMMENT ON TABLE role_changes IS 'The audit: each change of a role, decided before the attempt and completed after it, and each change of a managed role that another client made. Rows are never removed; a trigger lets each column be filled once, in the order attempted, completed, announced.';
COMMENT ON COLUMN role_changes.change IS 'granted, revoked: a managed role, by rolekeeper; restored, removed: a role of another client, restored or removed again because our write overwrote that client''s change; given, taken: a managed role, by another client, as an attempt saw it.';
COMMENT ON COLUMN role_changes.outcome IS 'written: Auth0 responded to our write; confirmed: a later attempt saw it; superseded: no longer wanted and not seen, or another client made the change, confirmed nevertheless if its write turns out to be done later; gone: Auth0 no longer knows the user; shadow: decided with writes off. Of given and taken: answered: the attempt that saw it changed the role back; left: it did not. Null while open.';
COMMENT ON COLUMN role_changes.decided_at IS 'Time of the decision, before any call; of given and taken: the time at which it was seen.';
COMMENT ON COLUMN role_changes.client_id IS 'Of a restore: the client whose change is restored. Of given and taken: the client that the newest matching record names, which is a hint; null without a record.';
COMMENT ON COLUMN role_changes.log_id IS 'Of a restore: the confirmed record of that change in the tenant''s log. Of given and taken: the record that client_id comes from.';

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
    filled text[] := ARRAY['user_id', 'attempted_at', 'completed_at', 'outcome', 'write_id', 'announced_at'];
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
    IF to_jsonb(NEW) - ARRAY['arguments', 'why'] <> to_jsonb(OLD) - ARRAY['arguments', 'why']
        OR (NEW.arguments <> OLD.arguments AND NEW.arguments::text !~ 'erased:[0-9a-f]{64}')
        OR (NEW.why IS DISTINCT FROM OLD.why AND coalesce(NEW.why, '') !~ 'erased:[0-9a-f]{64}') THEN
        RAISE EXCEPTION 'UPDATE of operator_acts % refused: an act is never changed', OLD.act_id
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION guard_operator_act IS 'Trigger: permits that the pseudonym replaces an erased user, and nothing else.';
CREATE TRIGGER operator_acts_fixed BEFORE UPDATE ON operator_acts FOR EACH ROW EXECUTE FUNCTION guard_operator_act();

CREATE FUNCTION erase_from_audit(person text, pseudonym text, spellings text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    changes bigint;
    acts bigint;
    spelling text;
BEGIN
    IF NOT EXISTS (SELECT FROM erasures WHERE 'erased:' || encode(user_hash, 'hex') = pseudonym) THEN
        RAISE EXCEPTION '% is the pseudonym of no erased person', pseudonym USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE role_changes SET user_id = pseudonym, outcome = coalesce(outcome, 'gone') WHERE user_id = person;
    GET DIAGNOSTICS changes = ROW_COUNT;
    UPDATE operator_acts SET arguments = replace(arguments::text, to_jsonb(person)::text, to_jsonb(pseudonym)::text)::jsonb
    WHERE position(to_jsonb(person)::text IN arguments::text) > 0;
    GET DIAGNOSTICS acts = ROW_COUNT;
    FOREACH spelling IN ARRAY spellings LOOP
        -- Only the whole id, not the beginning of another one.
        spelling := '(?<![[:alnum:]])' || regexp_replace(spelling, '([^[:alnum:]])', '\\\1', 'g') || '(?![[:alnum:]_-])';
        UPDATE operator_acts SET why = regexp_replace(why, spelling, pseudonym, 'g') WHERE why ~ spelling;
    END LOOP;
    RETURN changes + acts;
END $$;
COMMENT ON FUNCTION erase_from_audit IS 'Replaces an erased user by the pseudonym in role_changes and operator_acts; returns the number of these rows. Runs as the migrating role, since the running role may not change these columns.';

-- Only the role that owns the table can create and drop partitions.
CREATE FUNCTION make_event_id_slice(first bigint, behind bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO event_id_slices (slice_from, slice_to) VALUES (first, behind);
    EXECUTE format('CREATE TABLE event_ids_%s (LIKE event_ids INCLUDING COMMENTS, UNIQUE (event_id))', first);
    EXECUTE format('COMMENT ON TABLE event_ids_%s IS %L', first,
        format('Ids of events that the stream stored from Unix second %s up to %s.', first, behind));
    EXECUTE format('ALTER TABLE event_ids ATTACH PARTITION event_ids_%s FOR VALUES IN (%s)', first, first);
END $$;
COMMENT ON FUNCTION make_event_id_slice IS 'Creates a partition of event_ids. Runs as the migrating role, which owns the table.';

CREATE FUNCTION drop_event_id_slice(first bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM event_id_slices WHERE slice_from = first;
    EXECUTE format('DROP TABLE event_ids_%s', first);
END $$;
COMMENT ON FUNCTION drop_event_id_slice IS 'Drops a partition of event_ids with all its ids. Runs as the migrating role, which owns the table.';

-- Writes under our own client id that we did not make, and the stop of all writes that they cause.
ALTER TABLE foreign_writes ADD COLUMN own boolean NOT NULL DEFAULT false;
CREATE INDEX foreign_writes_own ON foreign_writes (user_id, asked_at) WHERE own;
COMMENT ON COLUMN foreign_writes.own IS 'The record names our own client id, and profile_writes has no matching write: Auth0 is asked at once, and a confirmed record stops the writes. It causes no restore.';
COMMENT ON COLUMN foreign_writes.log_id IS 'log_id of the request to Auth0 for the record; null if Auth0 cannot confirm it: no log_id, or an event of Event Streams.';
COMMENT ON COLUMN foreign_writes.asked_at IS 'Time at which the record first had to be confirmed, because an attempt needed it, or because it names our own client id; null before.';

ALTER TABLE pause ADD COLUMN unknown_write boolean NOT NULL DEFAULT false;
COMMENT ON TABLE pause IS 'A row while attempts and writes are stopped on all workers; counting continues. Written by `rolekeeper pause`, and by the worker that reconciles when another program writes under our client id; removed by `rolekeeper resume`.';
COMMENT ON COLUMN pause.unknown_write IS 'Auth0 confirmed a write under our own client id that is not in profile_writes: a second rolekeeper, a restored database, or a script with our credentials. `resume` then requires a reason.';

-- For any name of the schema; and no other role can place a table of its own before it.
DO $$
DECLARE
    definer text;
BEGIN
    FOREACH definer IN ARRAY ARRAY['erase_from_audit(text, text, text[])', 'make_event_id_slice(bigint, bigint)',
        'drop_event_id_slice(bigint)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', definer, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', definer);
    END LOOP;
END $$;

-- Roles with rights on these tables keep only the rights that a worker needs, see deploy/postgres/roles.sql.
DO $$
DECLARE
    grantee name;
BEGIN
    FOR grantee IN
        SELECT DISTINCT pg_get_userbyid(acl.grantee) FROM pg_class c, aclexplode(c.relacl) AS acl
        WHERE c.oid = 'role_changes'::regclass AND acl.grantee NOT IN (0, c.relowner) AND acl.privilege_type = 'UPDATE'
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER ON role_changes, operator_acts FROM %I', grantee);
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER ON limits FROM %I', grantee);
        EXECUTE format('GRANT UPDATE (attempted_at, completed_at, outcome, write_id, announced_at) ON role_changes TO %I', grantee);
        EXECUTE format('GRANT SELECT, INSERT ON operator_acts TO %I', grantee);
        EXECUTE format('GRANT EXECUTE ON FUNCTION erase_from_audit(text, text, text[]), make_event_id_slice(bigint, bigint),
            drop_event_id_slice(bigint) TO %I', grantee);
        IF to_regclass('_sqlx_migrations') IS NOT NULL THEN
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON _sqlx_migrations FROM %I', grantee);
        END IF;
    END LOOP;
END $$;
