-- Discovery: the search at Auth0 for all users who hold a managed role.

CREATE TABLE discovery (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    exports    boolean NOT NULL,
    job_id     text,
    lines      bigint NOT NULL DEFAULT 0,
    unreadable bigint NOT NULL DEFAULT 0,
    began_at   timestamptz NOT NULL DEFAULT now(),
    moved_at   timestamptz NOT NULL DEFAULT now(),
    done_at    timestamptz
);
COMMENT ON TABLE discovery IS 'One row at most: the last run of `rolekeeper discover`, which writes it, and continues it if it was interrupted for less than a day. `rolekeeper tenant move` removes it. A restored older copy repeats a part of the run.';
COMMENT ON COLUMN discovery.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN discovery.exports IS 'The users come from a users export job; else from searches.';
COMMENT ON COLUMN discovery.job_id IS 'The users export job at Auth0; null while there is none.';
COMMENT ON COLUMN discovery.lines IS 'Lines of its file that are done.';
COMMENT ON COLUMN discovery.unreadable IS 'Entries of pages, or lines of the file, that are no user.';
COMMENT ON COLUMN discovery.began_at IS 'Time of the begin, by Postgres'' clock.';
COMMENT ON COLUMN discovery.moved_at IS 'Time at which users were last read; the same clock.';
COMMENT ON COLUMN discovery.done_at IS 'Time of the end; null while users are left to read.';

CREATE TABLE discovered_roles (
    role       text COLLATE "C" PRIMARY KEY,
    bound      text NOT NULL DEFAULT 'begin' CHECK (bound IN ('begin', 'from', 'at', 'after')),
    created_at timestamptz,
    seen       integer NOT NULL DEFAULT 0,
    done       boolean NOT NULL DEFAULT false,
    ours       bigint NOT NULL DEFAULT 0,
    earned     bigint NOT NULL DEFAULT 0,
    unearned   bigint NOT NULL DEFAULT 0,
    unclear    bigint NOT NULL DEFAULT 0,
    erased     bigint NOT NULL DEFAULT 0,
    CHECK ((bound = 'begin') = (created_at IS NULL))
);
COMMENT ON TABLE discovered_roles IS 'Position and result of the run in discovery, for each role; without user ids. One row for each managed role; written by `rolekeeper discover`, removed by `rolekeeper tenant move`.';
COMMENT ON COLUMN discovered_roles.role IS 'The managed role.';
COMMENT ON COLUMN discovered_roles.bound IS 'The users that the search still has to read: begin: all; from: created at created_at or later; at: created at created_at, without the first `seen`, and all later ones; after: created later.';
COMMENT ON COLUMN discovered_roles.created_at IS 'A creation time, by Auth0''s clock; null at the begin.';
COMMENT ON COLUMN discovered_roles.seen IS 'Users of created_at that are read; 0 unless bound is at.';
COMMENT ON COLUMN discovered_roles.done IS 'The search has read all users.';
COMMENT ON COLUMN discovered_roles.ours IS 'Found holders of whom rolekeeper may revoke the role.';
COMMENT ON COLUMN discovered_roles.earned IS 'Found unadopted holders who would hold the role by the rules.';
COMMENT ON COLUMN discovered_roles.unearned IS 'Found unadopted holders who would not hold it by the rules.';
COMMENT ON COLUMN discovered_roles.unclear IS 'Found users whose profile has to be read first: the last read of it says something else.';
COMMENT ON COLUMN discovered_roles.erased IS 'Found users who were erased: nothing is stored of them.';
