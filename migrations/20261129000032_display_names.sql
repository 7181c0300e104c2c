-- Numbers of requested and of refused display names, without counting them, and the refusals by age.

-- The counter of a row of display_names; null for one that neither waits nor was refused.
CREATE FUNCTION name_counter(requested text, refused text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN refused IS NOT NULL THEN 'names_refused' WHEN requested IS NOT NULL THEN 'names_waiting' END
$$;
COMMENT ON FUNCTION name_counter IS 'Counter of a row of display_names.';

CREATE FUNCTION count_display_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counter_changes (counter, change)
    SELECT counter, sum(by) FROM (
        SELECT name_counter(NEW.requested, NEW.refused), 1 AS by WHERE TG_OP <> 'DELETE'
        UNION ALL SELECT name_counter(OLD.requested, OLD.refused), -1 WHERE TG_OP <> 'INSERT'
    ) AS moved(counter, by)
    WHERE counter IS NOT NULL GROUP BY counter HAVING sum(by) <> 0;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_display_names IS 'Trigger: updates the counters of display_names.';
SET LOCAL lock_timeout = '5s';
CREATE TRIGGER display_names_counted AFTER INSERT OR UPDATE OR DELETE ON display_names FOR EACH ROW
    EXECUTE FUNCTION count_display_names();
-- Under the lock of the trigger, so that no row is missed.
INSERT INTO counter_changes (counter, change)
SELECT name_counter(requested, refused), count(*) FROM display_names GROUP BY name_counter(requested, refused);
CREATE INDEX display_names_refused ON display_names (refused_at) WHERE refused_at IS NOT NULL;
COMMENT ON COLUMN counters.counter IS 'holdings_adopted and holdings_unadopted: rows of assignments with has_role. users_with_role and users_adopted: users with at least one such row, or one that is adopted. work_queue: rows of work_queue; waiting_0 and waiting_1: those with this priority, due or not; parked and held: those with parked_at, or else with held_by; later_ and a number: those that are neither and were due in these five minutes or later when they were written. pins_on and pins_off: rows of pins. identities: rows of identities. names_refused: rows of display_names with refused; names_waiting: the others.';
