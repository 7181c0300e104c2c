-- Progress of a drain: how many users wait for an attempt, without counting them.

-- Users who wait are all of the queue, less those who are parked, held, or due in a later slot of five minutes. A slot that has
-- passed does not count, so no row has to change when its time comes.
CREATE FUNCTION due_slot(due_at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 'later_' || lpad(floor(extract(epoch FROM due_at) / 300)::bigint::text, 10, '0')
$$;
COMMENT ON FUNCTION due_slot IS 'Counter of the users due in the same five minutes; in the order of time.';

-- The counter of a row of the queue that does not wait for an attempt; null for one that does.
CREATE FUNCTION queue_counter(parked_at timestamptz, held_by text, due_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN parked_at IS NOT NULL THEN 'parked' WHEN held_by IS NOT NULL THEN 'held'
        WHEN due_at > now() AND due_slot(due_at) > due_slot(now()) THEN due_slot(due_at) END
$$;
COMMENT ON FUNCTION queue_counter IS 'Counter of a user who does not wait for an attempt: parked, held, or due in a later slot.';

CREATE OR REPLACE FUNCTION count_work_queue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO counter_changes (counter, change)
        SELECT counter, count(*) FROM added
        CROSS JOIN LATERAL UNNEST(ARRAY['work_queue', 'waiting_' || priority, queue_counter(parked_at, held_by, due_at)]) AS counter
        WHERE counter NOT IN ('waiting_2', 'waiting_3', 'waiting_4') GROUP BY counter;
    ELSE
        INSERT INTO counter_changes (counter, change)
        SELECT counter, -count(*) FROM removed
        CROSS JOIN LATERAL UNNEST(ARRAY['work_queue', 'waiting_' || priority, queue_counter(parked_at, held_by, due_at)]) AS counter
        WHERE counter NOT IN ('waiting_2', 'waiting_3', 'waiting_4') GROUP BY counter;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION count_queue_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counter_changes (counter, change)
    SELECT counter, sum(by) FROM (
        VALUES (queue_counter(OLD.parked_at, OLD.held_by, OLD.due_at), -1), (queue_counter(NEW.parked_at, NEW.held_by, NEW.due_at), 1)
    ) AS moved(counter, by)
    WHERE counter IS NOT NULL GROUP BY counter HAVING sum(by) <> 0;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_queue_state IS 'Trigger: updates the counters of users who do not wait for an attempt.';
SET LOCAL lock_timeout = '5s';
CREATE TRIGGER work_queue_state AFTER UPDATE OF parked_at, held_by, due_at ON work_queue FOR EACH ROW
    WHEN ((OLD.parked_at IS NULL) <> (NEW.parked_at IS NULL) OR (OLD.held_by IS NULL) <> (NEW.held_by IS NULL)
        OR (OLD.due_at <> NEW.due_at AND (OLD.due_at > now() OR NEW.due_at > now())))
    EXECUTE FUNCTION count_queue_state();
-- Under the lock of the trigger, so that no row is missed.
INSERT INTO counter_changes (counter, change)
SELECT counter, count(*) FROM (SELECT queue_counter(parked_at, held_by, due_at) AS counter FROM work_queue) AS here
WHERE counter IS NOT NULL GROUP BY counter;
COMMENT ON TABLE counters IS 'Sums of counter_changes. Some ten rows, and one for each five minutes in which users are due later; written by the worker that reconciles, up to five times a second, which also removes those of the past. A restored older copy matches the tables restored with it.';
COMMENT ON COLUMN counters.counter IS 'holdings_adopted and holdings_unadopted: rows of assignments with has_role. users_with_role and users_adopted: users with at least one such row, or one that is adopted. work_queue: rows of work_queue; waiting_0 and waiting_1: those with this priority, due or not; parked and held: those with parked_at, or else with held_by; later_ and a number: those that are neither and were due in these five minutes or later when they were written. pins_on and pins_off: rows of pins. identities: rows of identities.';

CREATE TABLE drain (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    waiting        bigint NOT NULL DEFAULT 0,
    ended_per_min  double precision NOT NULL DEFAULT 0,
    sampled_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE drain IS 'Progress of the work queue; one row, written by the worker that reconciles every 10 s. Never removed. A restored older copy counts for a minute.';
COMMENT ON COLUMN drain.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN drain.waiting IS 'Users who wait for an attempt: neither parked nor held, and not due later than in some minutes.';
COMMENT ON COLUMN drain.ended_per_min IS 'Users whose attempt ended in the last minute: up to date, held or parked.';
COMMENT ON COLUMN drain.sampled_at IS 'Time of both.';
INSERT INTO drain DEFAULT VALUES;
