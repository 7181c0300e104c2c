-- A Postgres restored from a backup, a promoted mirror, and the retention of retractions.

SET LOCAL lock_timeout = '5s';

CREATE TABLE forgotten_changes (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    created_ns bigint NOT NULL,
    read_to bigint NOT NULL,
    until bigint NOT NULL,
    unknown bigint NOT NULL DEFAULT 0,
    holds boolean NOT NULL DEFAULT false,
    noticed_at timestamptz
);
COMMENT ON TABLE forgotten_changes IS 'Changes in the stream ROLE_CHANGES that the audit does not know: this database was restored from a backup, or is another one. One row, none before the first case. Written by the worker that announces, and by `rolekeeper resume`; never removed. With a restored older copy the worker reads the stream again from an earlier place, which is harmless.';
COMMENT ON COLUMN forgotten_changes.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN forgotten_changes.created_ns IS 'Creation time of that stream, Unix nanoseconds.';
COMMENT ON COLUMN forgotten_changes.read_to IS 'Last sequence of the stream that was compared with the audit.';
COMMENT ON COLUMN forgotten_changes.until IS 'End of the stream when the comparison began, or was extended.';
COMMENT ON COLUMN forgotten_changes.unknown IS 'Changes that the audit does not know, since `rolekeeper resume`.';
COMMENT ON COLUMN forgotten_changes.holds IS 'No role is revoked until `rolekeeper resume`: the database is empty, or much smaller than the stream.';
COMMENT ON COLUMN forgotten_changes.noticed_at IS 'Time at which the first of them was found; null when there is none, or after `rolekeeper resume`.';

CREATE TABLE forgotten_holders (
    user_id text NOT NULL,
    role text NOT NULL,
    granted boolean NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (user_id, role)
);
COMMENT ON TABLE forgotten_holders IS 'Users whose roles changed by ROLE_CHANGES but not by the audit. Written by the worker that announces, which removes each row once the user is queued, after the fold has reached the end of APP_EVENTS. At most one row for each user and role that changed since the backup; usually empty. With a restored older copy some are queued again, which is harmless.';
COMMENT ON COLUMN forgotten_holders.user_id IS 'The user.';
COMMENT ON COLUMN forgotten_holders.role IS 'The role.';
COMMENT ON COLUMN forgotten_holders.granted IS 'The last of these messages is a grant: if the user holds the role at Auth0, we may revoke it.';
COMMENT ON COLUMN forgotten_holders.seq IS 'Sequence of that message in ROLE_CHANGES.';

ALTER TABLE stream_cursors ADD COLUMN last_hash bigint;
ALTER TABLE stream_cursors ADD COLUMN repeats_until_ns bigint NOT NULL DEFAULT 0;
ALTER TABLE stream_cursors ADD COLUMN repeats_window_s bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN stream_cursors.last_hash IS 'First eight bytes of the SHA-256 of subject and payload of the message at last_seq; null when none was read. It distinguishes a promoted mirror from another stream.';
COMMENT ON COLUMN stream_cursors.repeats_until_ns IS 'Messages that the stream stored before this, Unix nanoseconds, are compared with the ids of earlier ones, because a promoted mirror starts with an empty duplicate window. 0 without a promotion.';
COMMENT ON COLUMN stream_cursors.repeats_window_s IS 'Duplicate window of that stream, in seconds.';

ALTER TABLE event_ids ADD COLUMN stored_ns bigint;
COMMENT ON COLUMN event_ids.stored_ns IS 'When the stream stored the event, Unix nanoseconds: it determines to which life of a playlist a play belongs. Null for ids from before this column.';

ALTER TABLE playlists ADD COLUMN saved_again_ns bigint;
COMMENT ON COLUMN playlists.saved_again_ns IS 'When the stream stored the message that saved the playlist after it had been deleted, Unix nanoseconds; null in its first life, and without remembered ids (DEDUP_HORIZON). A retraction of an earlier play changes nothing. Written by the fold.';

CREATE INDEX IF NOT EXISTS retractions_counted ON retractions (counted_at);
COMMENT ON TABLE retractions IS 'Event ids of retracted plays; each counts once. Written by the fold of APP_EVENTS; one row for each retracted play of the stream''s age and the duplicate window, then removed by the same worker. A restored older copy matches the cursor restored with it, so missing rows are folded again.';

-- The running role cannot set a sequence.
CREATE FUNCTION mend_playlist_numbers() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    SELECT setval('playlist_numbers', greatest((SELECT max(number) FROM playlists WHERE number IS NOT NULL),
        (SELECT last_value FROM playlist_numbers)))
$$;
COMMENT ON FUNCTION mend_playlist_numbers IS 'Moves the sequence of playlists.number past the largest number in use if it was behind, as after a logical replication without sequences; returns that number.';
-- For any name of the schema; and no other role can place a table of its own before it.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION mend_playlist_numbers() SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION mend_playlist_numbers() FROM PUBLIC;
END $$;
