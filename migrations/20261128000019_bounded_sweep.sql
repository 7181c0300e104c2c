-- The cost of the sweep and the gauges follows the number of changes, not of users: counters, and an index for each of
-- their queries. A worker of the version before knows none of it; the triggers count its changes too.
SET LOCAL lock_timeout = '5s';

CREATE TABLE counters (
    counter text COLLATE "C" PRIMARY KEY,
    value   bigint NOT NULL
);
COMMENT ON TABLE counters IS 'Sums of counter_changes. Five rows, written by the worker that reconciles, once a second; never removed. A restored older copy matches the tables restored with it.';
COMMENT ON COLUMN counters.counter IS 'holdings_adopted and holdings_unadopted: held rows of assignments. users_held and users_adopted: users with at least one such row, or one that is adopted. nominations: rows of nominations.';
COMMENT ON COLUMN counters.value IS 'The count, without the remaining rows of counter_changes.';

CREATE TABLE counter_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    counter   text COLLATE "C" NOT NULL,
    change    bigint NOT NULL
);
COMMENT ON TABLE counter_changes IS 'Changes of counters, inserted in the transaction that makes them, so that two transactions never update one row. Written by triggers; the worker that reconciles adds them to counters and removes them once a second, so there are some thousand rows at most while such a worker runs.';
COMMENT ON COLUMN counter_changes.change_id IS 'Number of the change.';
COMMENT ON COLUMN counter_changes.counter IS 'As in counters.';
COMMENT ON COLUMN counter_changes.change IS 'Difference; negative for a decrease.';

-- Each kind of statement has a trigger of its own, because each has other transition tables. One statement never inserts one
-- row of a user and updates another.
-- `moved` has the rows that a statement added (by = 1) and removed (by = -1). It runs after the statement, so assignments are current.
CREATE TYPE holding AS (user_id text, held boolean, adopted boolean, by integer);
COMMENT ON TYPE holding IS 'A row of assignments that a statement added (by = 1) or removed (by = -1).';
CREATE FUNCTION count_holdings(moved holding[]) RETURNS void LANGUAGE sql AS $$
    WITH by_user AS (
        SELECT user_id, coalesce(sum(by) FILTER (WHERE held), 0) AS held,
            coalesce(sum(by) FILTER (WHERE held AND adopted), 0) AS adopted
        FROM UNNEST(moved) GROUP BY user_id
    ), users AS (
        SELECT sum((here.held > 0)::integer - (here.held > b.held)::integer) AS held,
            sum((here.adopted > 0)::integer - (here.adopted > b.adopted)::integer) AS adopted
        FROM by_user b CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE a.held) AS held, count(*) FILTER (WHERE a.held AND a.adopted) AS adopted
            FROM assignments a WHERE a.user_id = b.user_id
        ) AS here
    )
    INSERT INTO counter_changes (counter, change)
    SELECT counter, change FROM (
        SELECT 'holdings_adopted', sum(adopted) FROM by_user
        UNION ALL SELECT 'holdings_unadopted', sum(held - adopted) FROM by_user
        UNION ALL SELECT 'users_held', held FROM users
        UNION ALL SELECT 'users_adopted', adopted FROM users
    ) AS counted(counter, change)
    WHERE change <> 0
$$;
COMMENT ON FUNCTION count_holdings IS 'Writes to counter_changes the differences that these rows of assignments make.';

CREATE FUNCTION count_assignments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved holding[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(ROW(user_id, held, adopted, 1)::holding) INTO moved FROM added WHERE held;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(ROW(user_id, held, adopted, -1)::holding) INTO moved FROM removed WHERE held;
    ELSE
        SELECT array_agg(ROW(both_sides.user_id, both_sides.held, both_sides.adopted, both_sides.by)::holding) INTO moved
        FROM removed r JOIN added a USING (user_id, role)
        CROSS JOIN LATERAL (VALUES (a.user_id, a.held, a.adopted, 1), (r.user_id, r.held, r.adopted, -1)) AS both_sides(user_id, held, adopted, by)
        WHERE (a.held, a.adopted) IS DISTINCT FROM (r.held, r.adopted);
    END IF;
    IF moved IS NOT NULL THEN
        PERFORM count_holdings(moved);
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

CREATE FUNCTION count_nominations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO counter_changes (counter, change) SELECT 'nominations', count(*) FROM added HAVING count(*) > 0;
    ELSE
        INSERT INTO counter_changes (counter, change) SELECT 'nominations', -count(*) FROM removed HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_nominations IS 'Trigger: updates the counter of nominations.';
CREATE TRIGGER nominations_added AFTER INSERT ON nominations REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_nominations();
CREATE TRIGGER nominations_removed AFTER DELETE ON nominations REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_nominations();

-- Once, under the locks that the triggers took.
INSERT INTO counters (counter, value)
SELECT 'holdings_adopted', count(*) FROM assignments WHERE held AND adopted
UNION ALL SELECT 'holdings_unadopted', count(*) FROM assignments WHERE held AND NOT adopted
UNION ALL SELECT 'users_held', count(DISTINCT user_id) FROM assignments WHERE held
UNION ALL SELECT 'users_adopted', count(DISTINCT user_id) FROM assignments WHERE held AND adopted
UNION ALL SELECT 'nominations', count(*) FROM nominations;

-- The holders with the oldest verification, of each role.
CREATE INDEX assignments_verified ON assignments (role, (coalesce(verified_at, '-infinity'::timestamptz))) WHERE held OR wanted;
-- The users parked for the longest time.
CREATE INDEX nominations_parked ON nominations (parked_at) WHERE parked_at IS NOT NULL;
-- Writes without a response; writes that records reported; and the oldest, to be removed.
CREATE INDEX profile_writes_unanswered ON profile_writes (attempted_at) WHERE completed_at IS NULL AND followed_up_at IS NULL;
CREATE INDEX profile_writes_told ON profile_writes (attempted_at) WHERE completed_at IS NOT NULL AND followed_up_at IS NOT NULL;
CREATE INDEX profile_writes_attempted ON profile_writes (attempted_at);
-- Rows with a retention.
CREATE INDEX dead_letters_kept ON dead_letters (kept_at);
CREATE INDEX races_settled ON races (settled_at) WHERE settled_at IS NOT NULL;

ALTER TABLE nominations ADD COLUMN held_until timestamptz;
CREATE INDEX nominations_held_until ON nominations (held_until) WHERE held_until IS NOT NULL;
COMMENT ON COLUMN nominations.held_until IS 'Time at which a held user is decided again without the operator: the end of a period of another rule. Null when there is none, or the user is not held. Written by reconcile.';
COMMENT ON TABLE dead_letters IS 'Messages that could not be read, kept for the operator for 30 days; capped per reason and hour, see dead_letter_totals. Written by the fold, removed by the sweep; at most 24,000 rows a day, stream and reason.';
COMMENT ON TABLE dead_letter_totals IS 'How many messages could not be read, by reason and hour, for 30 days; also those beyond the cap on dead_letters. Written by the fold, removed by the sweep; at most 24 rows a day, stream and reason.';
COMMENT ON TABLE races IS 'Writes of other clients between our read and our write, and how each case ended; kept for 90 days after the settlement. Written by reconcile, removed by the sweep.';
