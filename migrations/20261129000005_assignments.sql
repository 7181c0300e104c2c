-- Decisions and observations of managed roles, and counters of holders and of the work queue.

CREATE TABLE assignments (
    user_id     text COLLATE "C" NOT NULL,
    role        text COLLATE "C" NOT NULL,
    wanted      boolean NOT NULL,
    has_role    boolean NOT NULL,
    adopted     boolean NOT NULL,
    since       timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,
    below_since timestamptz,
    suppressed  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, role)
) WITH (fillfactor = 85);
-- The holders with the oldest verification, of each role.
CREATE INDEX assignments_verified ON assignments (role, (coalesce(verified_at, '-infinity'::timestamptz)))
    WHERE has_role OR wanted;
COMMENT ON TABLE assignments IS 'The last decision and observation for each managed role and user; no row means below the threshold and never read.';
COMMENT ON COLUMN assignments.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN assignments.role IS 'An entry of app_metadata.roles that a rule names.';
COMMENT ON COLUMN assignments.wanted IS 'Last result of the rules; between the thresholds it stays.';
COMMENT ON COLUMN assignments.has_role IS 'The profile had the role when it was last read or written.';
COMMENT ON COLUMN assignments.adopted IS 'We may revoke the role: we granted it, found it while it was earned, or an operator adopted it.';
COMMENT ON COLUMN assignments.since IS 'Time of the last observed change of has_role.';
COMMENT ON COLUMN assignments.verified_at IS 'Time at which the profile was last read; null requires an attempt.';
COMMENT ON COLUMN assignments.below_since IS 'Time since which the user is below the threshold while the role is still kept; null otherwise.';
COMMENT ON COLUMN assignments.suppressed IS 'Another client removed the role and the rule leaves it removed, or the operator dropped its grant from the brake: not granted until the user has fallen below the threshold and earned it again.';

-- The cost of the sweep and of the gauges follows the number of changes, not of users.
CREATE TABLE counters (
    counter text COLLATE "C" PRIMARY KEY,
    value   bigint NOT NULL
);
COMMENT ON TABLE counters IS 'Sums of counter_changes. Ten rows, written by the worker that reconciles, up to five times a second; never removed. A restored older copy matches the tables restored with it.';
COMMENT ON COLUMN counters.counter IS 'holdings_adopted and holdings_unadopted: rows of assignments with has_role. users_with_role and users_adopted: users with at least one such row, or one that is adopted. work_queue: rows of work_queue; waiting_0 and waiting_1: those with this priority, due or not. pins_on and pins_off: rows of pins. identities: rows of identities.';
COMMENT ON COLUMN counters.value IS 'The count, without the remaining rows of counter_changes.';

CREATE TABLE counter_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    counter   text COLLATE "C" NOT NULL,
    change    bigint NOT NULL
);
COMMENT ON TABLE counter_changes IS 'Changes of counters, inserted in the transaction that makes them, so that two transactions never update one row. Written by triggers; the worker that reconciles adds them to counters and removes them up to five times a second, so there are some thousand rows at most while such a worker runs.';
COMMENT ON COLUMN counter_changes.change_id IS 'Number of the change.';
COMMENT ON COLUMN counter_changes.counter IS 'As in counters.';
COMMENT ON COLUMN counter_changes.change IS 'Difference; negative for a decrease.';
INSERT INTO counters (counter, value)
VALUES ('holdings_adopted', 0), ('holdings_unadopted', 0), ('users_with_role', 0), ('users_adopted', 0), ('work_queue', 0), ('waiting_0', 0), ('waiting_1', 0);

-- Each kind of statement has a trigger of its own, because each has other transition tables. One statement never inserts one
-- row of a user and updates another.
-- `moved` has the rows that a statement added (by = 1) and removed (by = -1). It runs after the statement, so assignments are current.
CREATE TYPE holding AS (user_id text, has_role boolean, adopted boolean, by integer);
COMMENT ON TYPE holding IS 'A row of assignments that a statement added (by = 1) or removed (by = -1).';

CREATE FUNCTION count_assignments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved holding[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(ROW(user_id, has_role, adopted, 1)::holding) INTO moved FROM added WHERE has_role;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(ROW(user_id, has_role, adopted, -1)::holding) INTO moved FROM removed WHERE has_role;
    ELSE
        SELECT array_agg(ROW(both_sides.user_id, both_sides.has_role, both_sides.adopted, both_sides.by)::holding) INTO moved
        FROM removed r JOIN added a USING (user_id, role)
        CROSS JOIN LATERAL (VALUES (a.user_id, a.has_role, a.adopted, 1), (r.user_id, r.has_role, r.adopted, -1)) AS both_sides(user_id, has_role, adopted, by)
        WHERE (a.has_role, a.adopted) IS DISTINCT FROM (r.has_role, r.adopted);
    END IF;
    IF moved IS NOT NULL THEN
        -- Here, not in a function of SQL, which would be planned at each call.
        WITH by_user AS (
            SELECT user_id, coalesce(sum(by) FILTER (WHERE has_role), 0) AS has_role,
                coalesce(sum(by) FILTER (WHERE has_role AND adopted), 0) AS adopted
            FROM UNNEST(moved) GROUP BY user_id
        ), users AS (
            SELECT sum((here.has_role > 0)::integer - (here.has_role > b.has_role)::integer) AS has_role,
                sum((here.adopted > 0)::integer - (here.adopted > b.adopted)::integer) AS adopted
            FROM by_user b CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE a.has_role) AS has_role, count(*) FILTER (WHERE a.has_role AND a.adopted) AS adopted
                FROM assignments a WHERE a.user_id = b.user_id
            ) AS here
        )
        INSERT INTO counter_changes (counter, change)
        SELECT counter, change FROM (
            SELECT 'holdings_adopted', sum(adopted) FROM by_user
            UNION ALL SELECT 'holdings_unadopted', sum(has_role - adopted) FROM by_user
            UNION ALL SELECT 'users_with_role', has_role FROM users
            UNION ALL SELECT 'users_adopted', adopted FROM users
        ) AS counted(counter, change)
        WHERE change <> 0;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_assignments IS 'Trigger: updates the counters of holders.';
CREATE TRIGGER assignments_added AFTER INSERT ON assignments REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_assignments();
CREATE TRIGGER assignments_changed AFTER UPDATE ON assignments REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_assignments();
CREATE TRIGGER assignments_removed AFTER DELETE ON assignments REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_assignments();

CREATE FUNCTION count_work_queue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO counter_changes (counter, change)
        SELECT counter, count(*) FROM added CROSS JOIN LATERAL UNNEST(ARRAY['work_queue', 'waiting_' || priority]) AS counter
        WHERE counter IN ('work_queue', 'waiting_0', 'waiting_1') GROUP BY counter;
    ELSE
        INSERT INTO counter_changes (counter, change)
        SELECT counter, -count(*) FROM removed CROSS JOIN LATERAL UNNEST(ARRAY['work_queue', 'waiting_' || priority]) AS counter
        WHERE counter IN ('work_queue', 'waiting_0', 'waiting_1') GROUP BY counter;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_work_queue IS 'Trigger: updates the counters of work_queue.';
CREATE TRIGGER work_queue_added AFTER INSERT ON work_queue REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_work_queue();
CREATE TRIGGER work_queue_removed AFTER DELETE ON work_queue REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_work_queue();
CREATE FUNCTION count_priority() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counter_changes (counter, change)
    SELECT 'waiting_' || priority, change FROM (VALUES (OLD.priority, -1), (NEW.priority, 1)) AS moved(priority, change)
    WHERE priority IN (0, 1);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_priority IS 'Trigger: updates the counters of waiting users when a user gets another priority.';
CREATE TRIGGER work_queue_priority AFTER UPDATE OF priority ON work_queue FOR EACH ROW
    WHEN (OLD.priority <> NEW.priority) EXECUTE FUNCTION count_priority();
