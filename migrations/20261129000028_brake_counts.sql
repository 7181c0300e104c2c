-- What the brakes compare with their limits, without a count of the queue or of the window for each decision.
SET LOCAL lock_timeout = '5s';

-- One statement, so that its plan is kept; a function of SQL is planned at each call.
CREATE OR REPLACE FUNCTION count_assignments() RETURNS trigger LANGUAGE plpgsql AS $$
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
        WHERE change <> 0;
    END IF;
    RETURN NULL;
END $$;
DROP FUNCTION count_holdings;

CREATE OR REPLACE FUNCTION count_nominations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO counter_changes (counter, change)
        SELECT counter, count(*) FROM added CROSS JOIN LATERAL UNNEST(ARRAY['nominations', 'waiting_' || urgency]) AS counter
        WHERE counter IN ('nominations', 'waiting_0', 'waiting_1') GROUP BY counter;
    ELSE
        INSERT INTO counter_changes (counter, change)
        SELECT counter, -count(*) FROM removed CROSS JOIN LATERAL UNNEST(ARRAY['nominations', 'waiting_' || urgency]) AS counter
        WHERE counter IN ('nominations', 'waiting_0', 'waiting_1') GROUP BY counter;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION count_urgency() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counter_changes (counter, change)
    SELECT 'waiting_' || urgency, change FROM (VALUES (OLD.urgency, -1), (NEW.urgency, 1)) AS moved(urgency, change)
    WHERE urgency IN (0, 1);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_urgency IS 'Trigger: updates the counters of waiting users when a user gets another priority.';
CREATE TRIGGER nominations_urgency AFTER UPDATE OF urgency ON nominations FOR EACH ROW
    WHEN (OLD.urgency <> NEW.urgency) EXECUTE FUNCTION count_urgency();
COMMENT ON COLUMN counters.counter IS 'holdings_adopted and holdings_unadopted: held rows of assignments. users_held and users_adopted: users with at least one such row, or one that is adopted. nominations: rows of nominations; waiting_0 and waiting_1: those with this urgency, due or not.';

INSERT INTO counters (counter, value)
SELECT 'waiting_' || urgency, count(*) FROM nominations WHERE urgency IN (0, 1) GROUP BY urgency;
