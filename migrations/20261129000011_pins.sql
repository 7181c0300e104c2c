-- Pins: the operator's word about one role of one user; and managed roles that another client removed by hand.

CREATE TABLE pins (
    user_id   text COLLATE "C" NOT NULL,
    role      text NOT NULL,
    state     text NOT NULL CHECK (state IN ('on', 'off')),
    until     timestamptz,
    why       text NOT NULL,
    pinned_by text NOT NULL,
    pinned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    log_id    text,
    client_id text,
    released  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, role)
);
-- The pins of the last hour or so, which the brake counts.
CREATE INDEX pins_removed ON pins (pinned_at) WHERE log_id IS NOT NULL;
COMMENT ON TABLE pins IS 'Pins: roles that users hold or do not hold whatever the rules say. Written by `rolekeeper pin`, by the attempt that respects a removal by hand, and by the one that stores that an id leaves a person who is pinned off; removed by `rolekeeper unpin`, by the first attempt after until, and by `rolekeeper erase`. Some hundred rows, at most a few for each user. A restored older copy lacks the later pins: operator_acts has them.';
COMMENT ON COLUMN pins.user_id IS 'Auth0 user id. A pin belongs to the id: it stays there when the account is deleted, linked or moved, and counts for the person.';
COMMENT ON COLUMN pins.role IS 'The managed role. Without effect while no rule names it.';
COMMENT ON COLUMN pins.state IS 'on: the user holds the role; off: the user does not hold it, even if another client gives it.';
COMMENT ON COLUMN pins.until IS 'Time at which it ends, by Postgres'' clock; null for a pin that stays until the operator removes it.';
COMMENT ON COLUMN pins.why IS 'The reason.';
COMMENT ON COLUMN pins.pinned_by IS 'The operator, as in operator_acts; or the worker, for a removal by hand.';
COMMENT ON COLUMN pins.pinned_at IS 'Time of the pin, by Postgres'' clock.';
COMMENT ON COLUMN pins.log_id IS 'Of a removal by hand: the confirmed record of the tenant''s log. Null for a pin of the operator.';
COMMENT ON COLUMN pins.client_id IS 'Of a removal by hand: the client that removed the role, by that record.';
COMMENT ON COLUMN pins.released IS 'Of a removal by hand: the operator released it from the brake, or it is a copy; it does not count towards the next one.';

CREATE FUNCTION outweighs(state text, until timestamptz, than_state text, than_until timestamptz) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (until IS NULL OR until > now()) AND CASE
        WHEN than_until <= now() THEN true
        WHEN state = than_state THEN coalesce(until, 'infinity') > coalesce(than_until, 'infinity')
        ELSE state = 'off' END
$$;
COMMENT ON FUNCTION outweighs IS 'Whether the first pin stands in place of the second, of another id of the person: off outweighs on, then the later end counts.';

CREATE TABLE removals (
    user_id   text COLLATE "C" NOT NULL,
    role      text NOT NULL,
    found_at  timestamptz NOT NULL,
    state     text NOT NULL CHECK (state IN ('waiting', 'held', 'released')),
    client_id text,
    log_id    text,
    came_from text COLLATE "C",
    PRIMARY KEY (user_id, role)
);
CREATE INDEX removals_came_from ON removals (came_from) WHERE came_from IS NOT NULL;
CREATE INDEX removals_held ON removals (user_id) WHERE state = 'held';
COMMENT ON TABLE removals IS 'Managed roles that another client may have removed, under a rule with manual = "respect", until that is settled. Written and removed by attempts, and by `rolekeeper brake`; a row lives for minutes, or while the brake holds it, so there are as many as users who lost a role at once. A restored older copy is settled by the next attempts.';
COMMENT ON COLUMN removals.user_id IS 'Auth0 user id.';
COMMENT ON COLUMN removals.role IS 'The managed role that the profile lacks.';
COMMENT ON COLUMN removals.found_at IS 'Time of the attempt that first missed it, by Postgres'' clock.';
COMMENT ON COLUMN removals.state IS 'waiting: for a confirmed record of the removal, five minutes at most, then the role is granted again; held: the brake holds it until the operator acts; released: the next attempt pins the role off.';
COMMENT ON COLUMN removals.client_id IS 'Of held and released: the client that removed the role, by the confirmed record.';
COMMENT ON COLUMN removals.log_id IS 'Of held and released: the confirmed record.';
COMMENT ON COLUMN removals.came_from IS 'Auth0 user id that another client removed the role from, where a link, a move or an unlink brought the removal to this user: a record about that id is waited for. Null for the user itself.';

CREATE FUNCTION count_pins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counter_changes (counter, change)
    SELECT 'pins_' || state, sum(by) FROM (
        SELECT NEW.state, 1 AS by WHERE TG_OP <> 'DELETE' UNION ALL SELECT OLD.state, -1 WHERE TG_OP <> 'INSERT'
    ) AS moved(state, by)
    GROUP BY state HAVING sum(by) <> 0;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_pins IS 'Trigger: updates the counters of pins.';
CREATE TRIGGER pins_counted AFTER INSERT OR UPDATE OR DELETE ON pins FOR EACH ROW EXECUTE FUNCTION count_pins();
INSERT INTO counters (counter, value) VALUES ('pins_on', 0), ('pins_off', 0);
