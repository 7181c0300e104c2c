-- Bases: counts as they were at one cursor, from which `verify` and `rebuild` count again.

CREATE TABLE playlist_bases (
    partition      smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    created_ns     bigint NOT NULL,
    epoch          bigint NOT NULL,
    last_seq       bigint NOT NULL,
    last_stored_ns bigint NOT NULL,
    playlists      bigint NOT NULL,
    made_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE playlist_bases IS 'The base of each partition of APP_EVENTS: where the stream was folded when the counts of the partition were copied. At most 64 rows. Written by the worker that folds APP_EVENTS, one partition an hour, or earlier where a base stands in the way of trimming; removed where counts change otherwise than by the fold. A restored older copy matches the counts restored with it.';
COMMENT ON COLUMN playlist_bases.partition IS 'The partition.';
COMMENT ON COLUMN playlist_bases.created_ns IS 'Creation time of the stream, Unix nanoseconds; a base of another stream does not count.';
COMMENT ON COLUMN playlist_bases.epoch IS 'Epoch of the cursor; a base from before the operator set the cursor does not count.';
COMMENT ON COLUMN playlist_bases.last_seq IS 'Sequence of the last message folded. The stream is not trimmed past it.';
COMMENT ON COLUMN playlist_bases.last_stored_ns IS 'When the stream stored that message, Unix nanoseconds.';
COMMENT ON COLUMN playlist_bases.playlists IS 'Number of copied playlists.';
COMMENT ON COLUMN playlist_bases.made_at IS 'Time at which the copy was made.';

CREATE TABLE playlist_base_counts (
    partition      smallint NOT NULL,
    playlist_id    text COLLATE "C" NOT NULL,
    plays          bigint NOT NULL,
    deleted        boolean NOT NULL,
    owner_id       text COLLATE "C",
    saved_again_ns bigint,
    changed_ns     bigint,
    PRIMARY KEY (partition, playlist_id)
);
CREATE INDEX playlist_base_counts_owner ON playlist_base_counts (owner_id) WHERE owner_id IS NOT NULL;
COMMENT ON TABLE playlist_base_counts IS 'Counts, owners and lives of playlists at the base of their partition; one row for each row of playlists at that time (3 million at 3 million users). Written with the base, which changes only the rows that differ; meaningless without the row in playlist_bases. A restored older copy matches the base restored with it.';
COMMENT ON COLUMN playlist_base_counts.partition IS 'The partition.';
COMMENT ON COLUMN playlist_base_counts.playlist_id IS 'As in playlists.';
COMMENT ON COLUMN playlist_base_counts.plays IS 'As in playlists.';
COMMENT ON COLUMN playlist_base_counts.deleted IS 'As in playlists.';
COMMENT ON COLUMN playlist_base_counts.owner_id IS 'As in playlists; null once the owner was erased.';
COMMENT ON COLUMN playlist_base_counts.saved_again_ns IS 'As in playlists.';
COMMENT ON COLUMN playlist_base_counts.changed_ns IS 'As in playlists.';

CREATE TABLE replaced_events (
    epoch      bigint NOT NULL,
    partition  smallint NOT NULL,
    stream_seq bigint NOT NULL,
    deletes    boolean NOT NULL,
    PRIMARY KEY (epoch, partition, stream_seq)
);
COMMENT ON TABLE replaced_events IS 'Messages of APP_EVENTS that the fold counted otherwise than they read: repeats, retractions without an effect, events of erased users, and messages that Postgres refused. Written by the fold in the transaction of the counts; one row for each such message that the stream keeps, removed by the same worker after the stream was trimmed. A restored older copy matches the cursor restored with it.';
COMMENT ON COLUMN replaced_events.epoch IS 'Epoch of the cursor when the message was folded.';
COMMENT ON COLUMN replaced_events.partition IS 'The partition of the message''s playlist.';
COMMENT ON COLUMN replaced_events.stream_seq IS 'Sequence of the message.';
COMMENT ON COLUMN replaced_events.deletes IS 'It deleted its playlist, as a saving by an erased user does; else it changed nothing.';

CREATE TABLE rebuild (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    run         uuid NOT NULL,
    holds_until timestamptz NOT NULL
);
COMMENT ON TABLE rebuild IS 'A run of `rebuild`; one row while one is under way, written and removed by that command. While it holds, no attempt begins. A run that was killed holds for 30 seconds at most; so does a restored older copy.';
COMMENT ON COLUMN rebuild.only_row IS 'Keeps the table at one row.';
COMMENT ON COLUMN rebuild.run IS 'The run.';
COMMENT ON COLUMN rebuild.holds_until IS 'Time after which it no longer holds; renewed while the run works.';
