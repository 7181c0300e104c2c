-- What the sweep and the gauges cost follows what changes, not how many users there are: counters, and indexes for each of
-- their questions. A worker of the version before knows none of it; the triggers count what it changes too.
SET LOCAL lock_timeout = '5s';

CREATE TABLE counters (
    counter text COLLATE "C" PRIMARY KEY,
    value   bigint NOT NULL
);
COMMENT ON TABLE counters IS 'Sums of counter_changes. Five rows, written by the worker that reconciles, once a second; never removed. An older copy that is restored fits the tables restored with it.';
COMMENT ON COLUMN counters.counter IS 'holdings_adopted and holdings_unadopted: rows of assignments that are held. users_held and users_adopted: users with at least one such row, or one that is adopted. nominations: rows of nominations.';
COMMENT ON COLUMN counters.value IS 'How many, without the rows of counter_changes that are still there.';

CREATE TABLE counter_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    counter   text COLLATE "C" NOT NULL,
    change    bigint NOT NULL
);
COMMENT ON TABLE counter_changes IS 'Changes of counters, inserted in the transaction that makes them, so that no two transactions update one row. Written by triggers; the worker that reconciles adds them to counters and removes them once a second, so at most some thousands are there while one is at work.';
COMMENT ON COLUMN counter_changes.change_id IS 'Number of the change.';
COMMENT ON COLUMN counter_changes.counter IS 'As in counters.';
COMMENT ON COLUMN counter_changes.change IS 'How many more; negative for fewer.';

-- Each kind of statement has a trigger of its own, because each has other transition tables. One statement never inserts one
-- row of a user and updates another.
-- `moved` is what a statement added (by = 1) and removed (by = -1). Runs after the statement: assignments are as they are now.
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
COMMENT ON FUNCTION count_holdings IS 'Notes in counter_changes what these rows of assignments change.';

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
COMMENT ON FUNCTION count_assignments IS 'Trigger: keeps the counters of holders.';
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
COMMENT ON FUNCTION count_nominations IS 'Trigger: keeps the counter of nominations.';
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

-- The holders verified longest ago, of each role.
CREATE INDEX assignments_verified ON assignments (role, (coalesce(verified_at, '-infinity'::timestamptz))) WHERE held OR wanted;
-- Users parked for longest.
CREATE INDEX nominations_parked ON nominations (parked_at) WHERE parked_at IS NOT NULL;
-- Writes without an answer; writes that records told of; and the oldest, to be forgotten.
CREATE INDEX profile_writes_unanswered ON profile_writes (attempted_at) WHERE completed_at IS NULL AND followed_up_at IS NULL;
CREATE INDEX profile_writes_told ON profile_writes (attempted_at) WHERE completed_at IS NOT NULL AND followed_up_at IS NOT NULL;
CREATE INDEX profile_writes_attempted ON profile_writes (attempted_at);
-- What is kept for a while only.
CREATE INDEX dead_letters_kept ON dead_letters (kept_at);
CREATE INDEX races_settled ON races (settled_at) WHERE settled_at IS NOT NULL;

ALTER TABLE nominations ADD COLUMN held_until timestamptz;
CREATE INDEX nominations_held_until ON nominations (held_until) WHERE held_until IS NOT NULL;
COMMENT ON COLUMN nominations.held_until IS 'When a held user is decided anew although no operator has acted: the end of a time that another rule gave. Null when there is none, or the user is not held. Written by reconcile.';
COMMENT ON TABLE dead_letters IS 'Messages that could not be read, kept for an operator for 30 days; capped per reason and hour, see dead_letter_totals. Written by the fold, removed by the sweep; at most 24,000 rows a day, stream and reason.';
COMMENT ON TABLE dead_letter_totals IS 'How many messages could not be read, by reason and hour, for 30 days; also those past the cap on dead_letters. Written by the fold, removed by the sweep; at most 24 rows a day, stream and reason.';
COMMENT ON TABLE races IS 'Writes of other clients that fell between our read and our write, and what was done about them; kept for 90 days after they were settled. Written by reconcile, removed by the sweep.';
