-- Imports: files of past plays and counts that the operator adds to the facts.

CREATE TABLE imports (
    source      text COLLATE "C" PRIMARY KEY,
    file        text NOT NULL,
    lines       bigint NOT NULL,
    through     bigint NOT NULL DEFAULT 0,
    counted     bigint NOT NULL DEFAULT 0,
    known       bigint NOT NULL DEFAULT 0,
    no_effect   bigint NOT NULL DEFAULT 0,
    plays       bigint NOT NULL DEFAULT 0,
    began_at    timestamptz NOT NULL DEFAULT now(),
    moved_at    timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    stopped_at  timestamptz,
    released_at timestamptz
);
COMMENT ON TABLE imports IS 'Files that `rolekeeper import` counts, or has counted; one row a file, never removed. Written by that command, and by `rolekeeper apply` for a plan of an import. A restored older copy matches the counts restored with it: the same command goes on there.';
COMMENT ON COLUMN imports.source IS 'SHA-256 of the file, in hex: the same content is the same import, whatever its name.';
COMMENT ON COLUMN imports.file IS 'Name of the file, as first given.';
COMMENT ON COLUMN imports.lines IS 'Number of its last line.';
COMMENT ON COLUMN imports.through IS 'Number of the line up to which all lines are counted; it moves in the transaction of the counts.';
COMMENT ON COLUMN imports.counted IS 'Lines that changed a count, or would have with more plays than 0.';
COMMENT ON COLUMN imports.known IS 'Plays whose event_id had counted before.';
COMMENT ON COLUMN imports.no_effect IS 'Lines of a deleted playlist, and plays from before the present life of a playlist.';
COMMENT ON COLUMN imports.plays IS 'Plays that were added.';
COMMENT ON COLUMN imports.began_at IS 'Start of its first run.';
COMMENT ON COLUMN imports.moved_at IS 'Time at which lines were last counted.';
COMMENT ON COLUMN imports.ended_at IS 'Time at which its last line was counted.';
COMMENT ON COLUMN imports.stopped_at IS 'Time at which the operator released it before its last line was counted: no more lines are.';
COMMENT ON COLUMN imports.released_at IS 'Time at which the roles of its users were no longer held.';

CREATE TABLE import_events (
    event_id text COLLATE "C" PRIMARY KEY
);
COMMENT ON TABLE import_events IS 'Event ids of imported plays: each counts once, in whatever files it stands. Written by `rolekeeper import` in the transaction of the counts; one row for each imported play, never removed. A restored older copy matches the counts restored with it.';
COMMENT ON COLUMN import_events.event_id IS 'The app''s id of the play.';

CREATE TABLE import_users (
    source  text COLLATE "C" NOT NULL REFERENCES imports,
    user_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (source, user_id)
);
CREATE INDEX import_users_user ON import_users (user_id);
COMMENT ON TABLE import_users IS 'Users whose roles are held, because an import counted plays of a playlist of theirs and is not released yet. Written by `rolekeeper import` in the transaction of the counts, and by the fold for a user who gets a playlist of such an owner; at most one row for each owner in the file and each later one, removed at the release and by an erasure. With a restored older copy they are held as they were.';
COMMENT ON COLUMN import_users.source IS 'The import.';
COMMENT ON COLUMN import_users.user_id IS 'Auth0 user id of the owner: any id of a person.';
