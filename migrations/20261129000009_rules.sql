-- Rules, limits and workers; the tenant.

CREATE TABLE rules_in_force (
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    fingerprint       text NOT NULL,
    rules             jsonb NOT NULL,
    since             timestamptz NOT NULL DEFAULT now(),
    version           bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    format            integer NOT NULL DEFAULT 1,
    needs_release     text NOT NULL DEFAULT '0.1.0',
    canonical         text,
    put_by            text,
    totals_kept       boolean NOT NULL DEFAULT false,
    totals_generation bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE rules_in_force IS 'The rules that every worker uses; one row, created by the first worker that starts. Written by a worker whose RULES_FILE has a higher version, and by `rolekeeper rules apply`. Never removed. A restored older copy has older rules: the next worker with a newer RULES_FILE activates that again.';
COMMENT ON COLUMN rules_in_force.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN rules_in_force.fingerprint IS 'SHA-256 of `canonical`; the fold commits only under the rules with this fingerprint.';
COMMENT ON COLUMN rules_in_force.rules IS 'The rules as JSON, for operators. Rolekeeper reads it only while `canonical` is null.';
COMMENT ON COLUMN rules_in_force.since IS 'Time of their activation.';
COMMENT ON COLUMN rules_in_force.version IS 'Version of the rules; 0 for the built-in rule and for a file without a version. Only a higher one replaces them.';
COMMENT ON COLUMN rules_in_force.format IS 'Format of `canonical`. A worker that does not know it waits.';
COMMENT ON COLUMN rules_in_force.needs_release IS 'The first release that knows this format.';
COMMENT ON COLUMN rules_in_force.canonical IS 'The rules in their written canonical form (a rules file: rules by role, defaults left out); null until a worker has written it.';
COMMENT ON COLUMN rules_in_force.put_by IS 'Source of their activation: `built-in`, `RULES_FILE` or `rules apply`.';
COMMENT ON COLUMN rules_in_force.totals_kept IS 'A rule measures all playlists together, so the fold keeps owner_totals.';
COMMENT ON COLUMN rules_in_force.totals_generation IS 'Raised when a rule starts to measure owner_totals again: rows of an older generation do not count.';

CREATE TABLE rules_history (
    put_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version     bigint NOT NULL,
    fingerprint text NOT NULL,
    canonical   text NOT NULL,
    put_by      text NOT NULL,
    put_at      timestamptz NOT NULL DEFAULT now(),
    act_id      bigint UNIQUE
);
COMMENT ON TABLE rules_history IS 'All rules that were put in force, for `rolekeeper undo`; a row for each activation, some a month. Written in its transaction, never removed. A restored older copy lacks the later ones.';
COMMENT ON COLUMN rules_history.put_id IS 'Order of the rows.';
COMMENT ON COLUMN rules_history.version IS 'Version of the rules; 0 without one.';
COMMENT ON COLUMN rules_history.fingerprint IS 'SHA-256 of `canonical`.';
COMMENT ON COLUMN rules_history.canonical IS 'The rules in canonical form: a rules file.';
COMMENT ON COLUMN rules_history.put_by IS 'Source of their activation, as in rules_in_force.';
COMMENT ON COLUMN rules_history.put_at IS 'Time of their activation.';
COMMENT ON COLUMN rules_history.act_id IS 'The act in operator_acts; null without one.';

CREATE TABLE walk (
    only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    rules           text NOT NULL,
    changed         boolean NOT NULL,
    writes          boolean NOT NULL,
    position        text COLLATE "C" NOT NULL DEFAULT '',
    partitions      bigint NOT NULL DEFAULT 0,
    last_partitions bigint NOT NULL DEFAULT 0,
    enqueued        bigint NOT NULL DEFAULT 0,
    requested_at    timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz
);
COMMENT ON TABLE walk IS 'Progress of the comparison of facts with decisions; one row. Written by the worker that reconciles, and by each activation of rules. Never removed. A restored older copy compares some users again, or fewer until the next round.';
COMMENT ON COLUMN walk.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN walk.rules IS 'Fingerprint of the rules that users are compared with.';
COMMENT ON COLUMN walk.changed IS 'The round is due because rules or limits changed, and runs at once; false for the regular rounds of the sweep.';
COMMENT ON COLUMN walk.writes IS 'Writes were on when the round began; false in shadow mode.';
COMMENT ON COLUMN walk.position IS 'Last user id that was compared; empty at the start of a round.';
COMMENT ON COLUMN walk.partitions IS 'Partitions of this round so far.';
COMMENT ON COLUMN walk.last_partitions IS 'Partitions of the last whole round; 0 before the first.';
COMMENT ON COLUMN walk.enqueued IS 'Users of this round so far who were not up to date.';
COMMENT ON COLUMN walk.requested_at IS 'Time since which this round is due.';
COMMENT ON COLUMN walk.finished_at IS 'End of the last whole round; null while the round after a change has not ended.';

CREATE TABLE limits (
    set_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name   text NOT NULL,
    value  double precision NOT NULL,
    set_by text NOT NULL,
    why    text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX limits_by_name ON limits (name, set_id);
COMMENT ON TABLE limits IS 'The limits on writes at Auth0; the newest row of each name holds, older ones are kept as history. Written by `migrate` and by `rolekeeper limits set`: some rows a year. Never removed. A restored older copy has older limits.';
COMMENT ON COLUMN limits.set_id IS 'Order of the rows.';
COMMENT ON COLUMN limits.name IS 'Name of the limit: writes, brake_revokes, brake_revokes_share, brake_grants, brake_grants_share, brake_window_s, reserve.';
COMMENT ON COLUMN limits.value IS 'Its value; writes is 1 for on and 0 for off.';
COMMENT ON COLUMN limits.set_by IS 'The operator who set it.';
COMMENT ON COLUMN limits.why IS 'The reason.';
COMMENT ON COLUMN limits.set_at IS 'Time of the change.';
INSERT INTO limits (name, value, set_by, why) VALUES
    ('writes', 1, 'migrate', 'default'),
    ('brake_revokes', 10, 'migrate', 'default'),
    ('brake_revokes_share', 0.1, 'migrate', 'default'),
    ('brake_grants', 1000, 'migrate', 'default'),
    ('brake_grants_share', 0.5, 'migrate', 'default'),
    ('brake_window_s', 3600, 'migrate', 'default'),
    ('reserve', 0.5, 'migrate', 'default');

CREATE TABLE workers (
    worker_id    uuid PRIMARY KEY,
    name         text NOT NULL,
    release      text NOT NULL,
    rules_format integer NOT NULL,
    own_limits   jsonb NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    seen_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE workers IS 'Workers that fold or reconcile; one row per process, written by the process every 10 s and removed at its stop, or by another worker a day after its last sign of life. A restored older copy names ended workers: they count for 30 s.';
COMMENT ON COLUMN workers.worker_id IS 'UUIDv7 from the start of the process.';
COMMENT ON COLUMN workers.name IS 'Host and process id, for operators.';
COMMENT ON COLUMN workers.release IS 'Version of the binary.';
COMMENT ON COLUMN workers.rules_format IS 'Newest format of rules that it knows.';
COMMENT ON COLUMN workers.own_limits IS 'The limits of its own settings, by name; they only tighten those of table limits.';
COMMENT ON COLUMN workers.started_at IS 'Start of the process.';
COMMENT ON COLUMN workers.seen_at IS 'Its last sign of life.';

CREATE TABLE tenant (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    domain   text NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tenant IS 'The Auth0 tenant that this database belongs to; at most one row. Written by the first worker whose token the tenant granted, and by `rolekeeper tenant move`.';
COMMENT ON COLUMN tenant.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN tenant.domain IS 'The tenant''s canonical domain, as the audience of the Management API names it.';
COMMENT ON COLUMN tenant.bound_at IS 'Time at which it was written.';
